import type { ToolMessage } from '@ag-ui/core'
import { expect, test } from 'vitest'
import {
  answersAfterRestart,
  resultsOf,
  stillOwed,
  type Unanswered,
  unsaidOf,
  withBrought,
  withResults,
} from '../../src/claude/restart.ts'

const calls = ['one', 'two'].map((toolCallId) => ({
  toolCallId,
  tool: `tool-${toolCallId}`,
  input: { n: 1 },
}))
const result = (toolCallId: string, more: Partial<ToolMessage> = {}): ToolMessage => ({
  ...{ id: `result ${toolCallId}`, role: 'tool', toolCallId, content: 'done' },
  ...more,
})
const nothing: Unanswered = { asked: [], calls: [], unsaid: [] }
const linesOf = (answers: ReturnType<typeof answersAfterRestart>): string[] =>
  (answers?.blocks ?? []).flatMap((block) => (block.type === 'text' ? block.text.split('\n') : []))
const answeredEvent = (value: object) => ({
  ...{ type: 'CUSTOM', name: 'agui-runner.answered' },
  value: { ...value, at: expect.any(Number), restarted: true },
})
const user = { id: 'u', role: 'user' as const, content: 'go on' }
const asked = ['a', 'b'].map((id) => ({
  ...{ tool: 'Bash', toolUseId: `call ${id}`, input: { command: id } },
  interrupt: { id, reason: 'tool_call' },
}))

test('nothing waited: nothing is said', () => {
  expect(answersAfterRestart(nothing, [])).toBeUndefined()
})

test('each call is told with what became of it, and one that is approved passes once', () => {
  const answers = answersAfterRestart({ ...nothing, asked, calls: withResults(calls, [result('one')]) }, [
    // The process that could remember it is gone.
    {
      interruptId: 'a',
      status: 'resolved',
      payload: { approved: true, remember: true, message: 'Mind it.' },
    },
  ])
  expect(linesOf(answers).slice(1)).toEqual([
    expect.stringMatching(
      /^- Bash \{"command":"a"\}: approved\. .*exactly this input: \{"command":"a"\} The person adds: Mind it\.$/,
    ),
    '- Bash {"command":"b"}: nobody answered; do not make this call.',
    '- tool-one {"n":1}: returned: done',
    '- tool-two {"n":1}: the client gave no result.',
  ])
  expect(answers?.grants).toEqual([{ asked: asked[0], updatedInput: { command: 'a' } }])
  expect(answers?.events).toEqual([
    answeredEvent({ interruptId: 'a', decision: 'approved', message: 'Mind it.' }),
  ])
})

test('a refusal grants nothing', () => {
  const resume = [{ interruptId: 'a', status: 'cancelled' as const }]
  const answers = answersAfterRestart({ ...nothing, asked: asked.slice(0, 1) }, resume)
  expect(linesOf(answers).join()).toContain('refused')
  expect(answers?.grants).toEqual([])
  const message = 'The person dismissed the question without an answer.'
  expect(answers?.events).toEqual([answeredEvent({ interruptId: 'a', decision: 'refused', message })])
})

test('a result that is there stays when another one comes; a failure is said as one', () => {
  const once = withResults(calls, [result('one', { content: 'first' })])
  const twice = withResults(once, [result('one', { content: 'second' }), result('two', { error: 'broken' })])
  expect(linesOf(answersAfterRestart({ ...nothing, calls: twice }, [])).slice(1)).toEqual([
    '- tool-one {"n":1}: returned: first',
    '- tool-two {"n":1}: failed: broken; it returned before: done',
  ])
})

test('a client that only brings results owes the others; one that says more goes on without them', () => {
  const open = { asked: [], calls: withResults(calls, [result('one')]) }
  expect(stillOwed(open, { messages: [result('one')] })).toEqual(['two'])
  expect(stillOwed(open, { messages: [result('one'), user] })).toEqual([])
  expect(stillOwed({ ...open, asked: asked.slice(0, 1) }, { messages: [result('one')] })).toEqual([])
  expect(stillOwed({ ...open, calls: [] }, { messages: [] })).toEqual([])
  expect(resultsOf({ messages: [user, result('one')] })).toEqual([result('one')])
})

test('a result whose run was killed is owed still, and counts when the client does not bring it again', () => {
  const ahead = withBrought(calls, [result('one', { content: 'brought' })])
  expect(stillOwed({ asked: [], calls: ahead }, { messages: [] })).toEqual(['one', 'two'])
  const [first] = withResults(ahead, [])
  expect(first).toMatchObject({ toolCallId: 'one', result: { content: 'brought' } })
  const [again] = withResults(ahead, [result('one', { content: 'again' })])
  expect(again).toMatchObject({ toolCallId: 'one', result: { content: 'again' } })
})

test('what was said beside a part of the results is said with the last of them, once', () => {
  const prompt = (...texts: string[]) => ({
    ...{ blocks: texts.map((text) => ({ type: 'text' as const, text })), skipped: [], surroundings: '' },
  })
  const unsaid = unsaidOf(prompt('<context>Bern</context>', ' '), nothing)
  expect(unsaidOf(prompt('<context>Bern</context>', 'Be short.'), { unsaid })).toEqual(['Be short.'])
  const answers = answersAfterRestart({ ...nothing, calls, unsaid }, [])
  expect(linesOf(answers).at(-1)).toBe('<context>Bern</context>')
})

test.each([
  ['accept', { decision: 'answered' }],
  ['decline', { decision: 'refused' }],
  ['cancel', { decision: 'dismissed' }],
])('the answer %s to a question of an MCP server is kept as what it counted as', (action, kept) => {
  const elicitation = { server: 'issues', message: 'Which?', mode: 'form' as const }
  const question = { interrupt: { id: 'a', reason: 'input_required' }, elicitation }
  const resume = [{ interruptId: 'a', status: 'resolved' as const, payload: { action } }]
  const answers = answersAfterRestart({ ...nothing, asked: [question] }, resume)
  expect(answers?.events).toEqual([answeredEvent({ interruptId: 'a', ...kept })])
})

test('an answer that came too late is kept as a refusal', () => {
  const expiresAt = new Date(0).toISOString()
  const late = asked.slice(0, 1).map((one) => ({ ...one, interrupt: { ...one.interrupt, expiresAt } }))
  const resume = [{ interruptId: 'a', status: 'resolved' as const, payload: true }]
  const [event] = answersAfterRestart({ ...nothing, asked: late }, resume)?.events ?? []
  expect(event).toMatchObject({
    value: { decision: 'refused', message: expect.stringContaining('too late') },
  })
})
