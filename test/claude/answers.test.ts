import type { ResumeEntry } from '@ag-ui/core'
import { expect, test } from 'vitest'
import { Approvals } from '../../src/claude/host/approvals.ts'
import { checkAnswers } from '../../src/claude/host/check-answers.ts'
import { readAnswer, toInterrupt } from '../../src/claude/host/interrupts.ts'

const choice = (question: string) => ({ question, options: [{ label: 'Red' }, { label: 'Blue' }] })
const input = { questions: [choice('Which?'), choice('And then?')] }
const asked = { tool: 'AskUserQuestion', input }
const interrupt = toInterrupt({ ...asked, toolCallId: 'call', title: undefined, expiresMs: 0 })

const answered = (answers: unknown) => {
  const entry: ResumeEntry = { interruptId: interrupt.id, status: 'resolved', payload: { answers } }
  return readAnswer({ ...asked, interrupt }, entry)
}

test.each([
  { 'Which?': 'Red' },
  { 'Which?': '', 'And then?': 'my own words' },
  { 'Which?': ['Red', 'Blue'] },
])('%j answers the questions', (answers) => {
  expect(answered(answers)).toMatchObject({ approved: true, updatedInput: { questions: input.questions } })
})

test.each([{}, { 'Which?': '' }, { 'Which?': [], 'And then?': '' }, { 'Another?': 'Red' }])(
  '%j answers none of the questions, and counts as a refusal',
  (answers) => {
    expect(answered(answers)).toEqual({
      approved: false,
      message: 'The person gave no answer that fits the question.',
    })
  },
)

test('a question that is refused with words passes them on', () => {
  const entry = { interruptId: interrupt.id, status: 'resolved' as const }
  const payload = { approved: false, message: 'ask me tomorrow' }
  expect(readAnswer({ ...asked, interrupt }, { ...entry, payload })).toEqual({
    approved: false,
    message: 'ask me tomorrow',
  })
})

/** What the answer to a question, or to a call, has that would be lost. */
function problemsIn(tool: string, payload: unknown): unknown {
  const toolUseId = 'call'
  const call = tool === 'Bash' ? { tool, input: { command: 'ls' } } : asked
  try {
    checkAnswers(
      [{ ...call, interrupt, toolUseId }],
      [{ interruptId: interrupt.id, status: 'resolved', payload }],
    )
  } catch (error) {
    expect(error).toMatchObject({ code: 'invalid_input', message: expect.stringContaining(interrupt.id) })
    return Object(error).details
  }
  return []
}

test.each<[tool: string, payload: unknown, problems: unknown[]]>([
  ['AskUserQuestion', { answers: { 'Which?': 'Red', 'And then?': null } }, []],
  ['AskUserQuestion', { answers: {} }, []],
  ['AskUserQuestion', { approved: false, message: 'no' }, []],
  ['AskUserQuestion', true, []],
  [
    'AskUserQuestion',
    { answers: { 'Which?': 'Red', Which: 'Blue' } },
    ['payload.answers: "Which" was not asked, but "Which?", "And then?"'],
  ],
  ['AskUserQuestion', { answers: { 'Which?': 1 } }, [expect.stringMatching(/^payload\.answers\.Which\?: /)]],
  ['AskUserQuestion', { answers: ['Red'] }, [expect.stringMatching(/^payload\.answers: /)]],
  ['AskUserQuestion', { answers: { 'Which?': 'Red' }, note: 'x' }, ['payload.note: it has only answers']],
  ['Bash', true, []],
  ['Bash', { approved: true, note: null }, []],
  // This counts as a refusal, which the stream says.
  ['Bash', { approve: 'yes' }, []],
  [
    'Bash',
    { approved: true, edited_args: { command: 'true' } },
    ['payload.edited_args: it has only approved, editedArgs, message, remember'],
  ],
  [
    'Bash',
    { approved: false, reason: 'x' },
    ['payload.reason: it has only approved, editedArgs, message, remember'],
  ],
])('the answer to %s of %j is held to what was asked', (tool, payload, problems) => {
  expect(problemsIn(tool, payload)).toEqual(problems)
})

/** An answer as a form makes it that fills in every member of the schema. */
const form = { approved: true, editedArgs: {}, message: '', remember: false }

function answerTo(input: Record<string, unknown>, payload: unknown) {
  const call = { tool: 'Bash', input }
  const interrupt = toInterrupt({ ...call, toolCallId: 'call', title: undefined, expiresMs: 0 })
  return readAnswer({ ...call, interrupt }, { interruptId: interrupt.id, status: 'resolved', payload })
}

test('an approval of none of the arguments is none, unless the call has none', () => {
  const message = expect.stringContaining('editedArgs')
  expect(answerTo({ command: 'ls' }, form)).toEqual({ approved: false, message })
  expect(answerTo({ command: 'ls' }, { ...form, message: 'with care' })).toEqual({
    approved: false,
    message: expect.stringMatching(/editedArgs.*\nwith care$/),
  })
  expect(answerTo({}, form)).toMatchObject({ approved: true, updatedInput: {} })
})

test.each([
  [0, false],
  [1, true],
])('with %i rules to remember, an approval for the session is one: %j', async (rules, remember) => {
  const approvals = new Approvals({ expiresMs: 0, toolCallId: (id) => id, onChange: () => undefined })
  const rule = {
    type: 'addRules',
    rules: [{ toolName: 'Bash' }],
    behavior: 'allow',
    destination: 'session',
  } as const
  const { signal } = new AbortController()
  const asking = { toolUseID: 'call', requestId: 'r', suggestions: Array(rules).fill(rule), signal }
  const settled = approvals.canUseTool('Bash', { command: 'ls' }, asking)
  const [{ interrupt } = { interrupt: { id: '' } }] = approvals.waiting
  const payload = { approved: true, remember: true }
  const answered = approvals.answer([{ interruptId: interrupt.id, status: 'resolved', payload }])
  expect(answered).toMatchObject([{ answer: { approved: true, remember } }])
  expect('updatedPermissions' in Object(await settled)).toBe(remember)
})

test('a refusal with an empty reason has one', () => {
  const message = 'The person refused this call.'
  expect(answerTo({ command: 'ls' }, { ...form, approved: false })).toEqual({ approved: false, message })
})
