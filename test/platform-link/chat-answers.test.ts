import type { Interrupt } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { answersOf, questionText } from '../../src/platform-link/chat-answers.ts'

const interrupt = (
  reason: string,
  tool: string,
  input: object,
  more: Partial<Interrupt> = {},
): Interrupt => ({
  id: 'i',
  reason,
  message: 'Well?',
  metadata: { 'agui-runner': { tool, input } },
  ...more,
})
const CALL = interrupt('tool_call', 'Bash', { command: 'rm ```x```' })
const PLAN = interrupt('confirmation', 'ExitPlanMode', { plan: 'p' })
const ONE = { question: 'Which?', options: [{ label: 'Red' }, { label: 'Blue' }] }
const MANY = { ...ONE, question: 'Which of them?', multiSelect: true }
const ask = (...questions: object[]) => interrupt('input_required', 'AskUserQuestion', { questions })
const form = (properties: object) =>
  interrupt(
    'input_required',
    '',
    {},
    {
      metadata: {},
      responseSchema: { properties: { action: {}, content: { properties } } },
    },
  )

test.each<[string, Interrupt, string, unknown]>([
  ['a call', CALL, ' Yes. ', { approved: true }],
  ['a call', CALL, 'always', { approved: true, remember: true }],
  ['a call', CALL, 'Yes, go ahead!', { approved: true }],
  ['a call', CALL, 'ok please', { approved: true }],
  ['a call', CALL, 'No', { approved: false }],
  ['a call', CALL, 'no, thanks.', { approved: false }],
  ['a call', CALL, 'yes, but in /tmp', { approved: false, message: 'yes, but in /tmp' }],
  ['a call', CALL, '**yes**', { approved: true }],
  ['a call', CALL, '"Yeah".', { approved: true }],
  ['a call', CALL, '👍', { approved: true }],
  ['a call', CALL, 'Allow always!', { approved: true, remember: true }],
  ['a call', CALL, 'always (in this session)', { approved: true, remember: true }],
  ['a call', CALL, 'always ask me', { approved: false, message: 'always ask me' }],
  ['a call', CALL, '`no`', { approved: false }],
  ['a call', CALL, 'don’t', { approved: false }],
  ['a call', CALL, 'not yes', { approved: false, message: 'not yes' }],
  ['a call', CALL, 'yes?', { approved: false, message: 'yes?' }],
  ['a call', CALL, 'yesterday', { approved: false, message: 'yesterday' }],
  ['a plan', PLAN, 'go ahead', { approved: true }],
  ['a plan', PLAN, 'always', { approved: false, message: 'always' }],
  ['a question', ask(ONE), '2', { answers: { 'Which?': 'Blue' } }],
  ['a question', ask(ONE), '2.', { answers: { 'Which?': 'Blue' } }],
  ['a question', ask(MANY), '1., 2)', { answers: { 'Which of them?': ['Red', 'Blue'] } }],
  ['a question', ask(ONE), 'green\nand more', { answers: { 'Which?': 'green\nand more' } }],
  [
    'questions',
    ask(ONE, MANY),
    '1\n\n1,2',
    { answers: { 'Which?': 'Red', 'Which of them?': ['Red', 'Blue'] } },
  ],
  [
    'questions',
    ask(ONE, MANY),
    'as you like',
    { answers: { 'Which?': 'as you like', 'Which of them?': 'as you like' } },
  ],
  ['a form', form({}), 'yes', { action: 'accept' }],
  ['a form', form({}), 'hm', { action: 'decline' }],
  ['a form', form({ age: { type: 'integer' } }), '7', { action: 'accept', content: { age: 7 } }],
  ['a form', form({ age: { type: 'integer' } }), 'cancel', { action: 'decline' }],
  ['a form', form({ name: { type: 'string' } }), 'no thanks', { action: 'decline' }],
  [
    'a form',
    form({ name: { type: 'string' }, on: { type: 'boolean' } }),
    'name: a: b\non: no',
    { action: 'accept', content: { name: 'a: b', on: false } },
  ],
  [
    'a form',
    form({ name: { type: 'string' }, on: { type: 'boolean' } }),
    '- **Name**: a\n- ON: yes!\n- more: 1',
    { action: 'accept', content: { name: 'a', on: true, more: '1' } },
  ],
  ['a form', form({ name: {}, on: {} }), 'what is it for?', { action: 'decline' }],
])('of %s %j the words %j are the answer %j', (_kind, asked, words, payload) => {
  expect(answersOf([asked], words)).toEqual([{ interruptId: 'i', status: 'resolved', payload }])
})

test('one question is asked and answered at a time', () => {
  expect(questionText([CALL, PLAN])).toMatch(
    /^Well\?[\s\S]*````\nBash[\s\S]*\(1 more to answer behind this one\.\)$/,
  )
  expect(answersOf([CALL, PLAN], 'yes')).toHaveLength(1)
  expect(answersOf([], 'yes')).toEqual([])
})

test('a call is approved as a whole: what is not shown of it is counted, and nothing in it is unseen', () => {
  const command = `echo \u202esafe\u200b ${'x'.repeat(3000)}; rm -rf .`
  const text = questionText([interrupt('tool_call', 'Bash', { command })])
  expect(text).toContain('echo \\u202esafe\\u200b xxx')
  expect(text).toMatch(/x\n… and 1\d{3} characters more\n```/)
})
