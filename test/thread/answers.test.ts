import type { Interrupt, Message, ResumeEntry } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { openAnswers, owedResults } from '../../src/thread/answers.ts'
import { helloAgent } from '../support/threads.ts'

const SECRET = 'a-password-of-the-test'
const redactor = createRedactor({ values: [SECRET, `${SECRET}-2`] })
const input = { command: `login ${SECRET}`, description: 'go in' }

function question(id: string, asked: Record<string, unknown> = input): Interrupt {
  return { id, reason: 'tool_call', metadata: { 'agui-runner': { input: asked } } }
}

const answer = (interruptId: string, payload?: unknown): ResumeEntry => ({
  interruptId,
  status: 'resolved',
  ...(payload === undefined ? {} : { payload }),
})

function answersTo(interrupts: Interrupt[], resume: ResumeEntry[], isRunning = false): ResumeEntry[] {
  return openAnswers(resume, { agent: { ...helloAgent(), interrupts }, redactor, isRunning }).resume
}

test('an answer to what nobody asked is no answer', () => {
  expect(answersTo([], [answer('old', true)])).toEqual([])
  expect(answersTo([question('a')], [answer('old', true), answer('a', true)])).toEqual([answer('a', true)])
})

test('an entry that answers nothing, or answers twice, is named beside the one that counts', () => {
  const agent = { ...helloAgent(), interrupts: [question('a'), question('b')] }
  const cancelled = { interruptId: 'b', status: 'cancelled' as const, payload: { message: 'later' } }
  const resume = [answer('old', true), answer('a', true), answer('a', true), cancelled]
  expect(openAnswers(resume, { agent, redactor, isRunning: false })).toEqual({
    resume: [answer('a', true), cancelled],
    skipped: [
      'an answer to interrupt "old", which is not open',
      'a second answer to interrupt "a"',
      'the payload of the answer to interrupt "b", which is cancelled',
    ],
  })
})

test.each([
  ['a yes and a no', [answer('a', true), answer('a', false)]],
  ['a no and a yes', [answer('a', { approved: false }), answer('b', true), answer('a', { approved: true })]],
  ['a yes and a dismissal', [answer('a', true), { interruptId: 'a', status: 'cancelled' as const }]],
  ['two edits', [answer('a', { approved: true, editedArgs: { x: 1 } }), answer('a', { approved: true })]],
])('%s are no answer', (_what, resume) => {
  expect(() => answersTo([question('a'), question('b')], resume)).toThrow(
    expect.objectContaining({ code: 'invalid_input', message: expect.stringContaining('in two ways') }),
  )
})

test('a thread that waits refuses a run without an answer, and says what it waits for', () => {
  const refused = expect.objectContaining({
    code: 'interrupt_open',
    details: { interrupts: [question('a')] },
  })
  for (const resume of [[], [answer('old', true)]])
    expect(() => answersTo([question('a')], resume)).toThrow(refused)
  // The run under way has asked; what comes meanwhile is queued behind it.
  expect(answersTo([question('a')], [], true)).toEqual([])
})

test('an argument that comes back as it was shown is the original', () => {
  const shown = { command: 'login [redacted]', description: 'go in quietly' }
  const [entry] = answersTo(
    [question('a')],
    [answer('a', { approved: true, editedArgs: shown, reason: 'r' })],
  )
  const editedArgs = { command: `login ${SECRET}`, description: 'go in quietly' }
  expect(entry?.payload).toEqual({ approved: true, editedArgs, reason: 'r' })
})

test('an argument that would run with the marker in it is refused', () => {
  const editedArgs = { command: 'login [redacted] now' }
  expect(() => answersTo([question('a')], [answer('a', { editedArgs })])).toThrow(
    expect.objectContaining({ code: 'invalid_input' }),
  )
})

test('the words of a choice are the original ones, unless two look alike', () => {
  const asked = { question: `Use ${SECRET}?`, options: [{ label: `Yes, ${SECRET}` }, { label: 'No' }] }
  const answers = { 'Use [redacted]?': ['Yes, [redacted]', 'No', 'my own words'] }
  const [entry] = answersTo([question('a', asked)], [answer('a', { answers })])
  expect(entry?.payload).toEqual({
    answers: { [`Use ${SECRET}?`]: [`Yes, ${SECRET}`, 'No', 'my own words'] },
  })
  const alike = { options: [{ label: SECRET }, { label: `${SECRET}-2` }] }
  const [unclear] = answersTo([question('a', alike)], [answer('a', { answers: { which: '[redacted]' } })])
  expect(unclear?.payload).toEqual({ answers: { which: '[redacted]' } })
})

test.each([undefined, true, 'yes', { approved: true }])('a payload of %j stays as it is', (payload) => {
  expect(answersTo([question('a')], [answer('a', payload)])).toEqual([answer('a', payload)])
})

const toolResult = (toolCallId: string, content = 'x'): Message => ({
  ...{ id: `${content} of ${toolCallId}`, role: 'tool', toolCallId, content },
})
const ours = (toolCallId: string): Message => ({ ...toolResult(toolCallId), id: `${toolCallId}:result` })
const called = (...ids: string[]): Message => ({
  ...{ id: 'a', role: 'assistant' },
  toolCalls: ids.map((id) => ({ id, type: 'function', function: { name: 'paint', arguments: '{}' } })),
})

test.each([
  ['a call that waits', [toolResult('owed')], ['x of owed'], []],
  ['two calls that wait', [toolResult('also'), toolResult('owed')], ['x of also', 'x of owed'], []],
  [
    'a call that waits, twice',
    [toolResult('owed'), toolResult('owed')],
    ['x of owed'],
    ['the result "x of owed" of call "owed", its second one'],
  ],
  ['a call of the history', [called('old'), toolResult('old'), toolResult('owed')], ['x of owed'], []],
  ['a call of the history, twice the same', [called('old'), toolResult('old'), toolResult('old')], [], []],
  [
    'a call of the history, and then another',
    [called('old'), toolResult('old'), toolResult('old', 'y')],
    [],
    ['the result "y of old" of call "old" (paint), its second one'],
  ],
  ['calls that the history lacks, as this runner sent them', [ours('far'), ours('off')], [], []],
  [
    'such a call, and then another',
    [ours('far'), toolResult('far', 'y')],
    [],
    ['the result "y of far" of call "far", which waits for none'],
  ],
  ['a call that waits, under the id of ours', [ours('owed')], ['owed:result'], []],
  [
    'a call that nobody made',
    [called('other'), toolResult('owed'), toolResult('none')],
    ['x of owed'],
    ['the result "x of none" of call "none", which waits for none'],
  ],
])('results of %s', (_what, messages, ids, skipped) => {
  const agent = { ...helloAgent(), pendingToolCallIds: ['owed', 'also'] }
  const found = owedResults(messages, agent)
  expect(found.results.map(({ id }) => id)).toEqual(ids)
  expect(found.skipped).toEqual(skipped)
})
