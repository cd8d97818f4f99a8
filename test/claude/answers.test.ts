import type { ResumeEntry } from '@ag-ui/core'
import { expect, test } from 'vitest'
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

test('a refusal with an empty reason has one', () => {
  const message = 'The person refused this call.'
  expect(answerTo({ command: 'ls' }, { ...form, approved: false })).toEqual({ approved: false, message })
})
