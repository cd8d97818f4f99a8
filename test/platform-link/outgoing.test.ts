import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { type LinkPush, Outgoing } from '../../src/platform-link/outgoing.ts'

function pushes(...events: AguiEvent[]): LinkPush[] {
  const outgoing = new Outgoing(0)
  return events.flatMap((event, index) => outgoing.apply({ seq: index + 1, at: 1000 + index, event }))
}

const messages = (...events: AguiEvent[]): [type: string, payload: unknown][] =>
  pushes(...events).flatMap(({ to, type, payload }) => {
    if (to === 'events') return []
    return [[type, type === 'assistant' ? payload : JSON.parse(payload)]]
  })

const text = (messageId: string, words: string, role: 'assistant' | 'user' = 'assistant'): AguiEvent[] => [
  { type: EventType.TEXT_MESSAGE_START, messageId, role },
  { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta: words },
  { type: EventType.TEXT_MESSAGE_END, messageId },
]
const call = (toolCallId: string, args: string): AguiEvent[] => [
  { type: EventType.TOOL_CALL_START, toolCallId, toolCallName: 'Bash' },
  ...(args === '' ? [] : [{ type: EventType.TOOL_CALL_ARGS, toolCallId, delta: args } as const]),
  { type: EventType.TOOL_CALL_END, toolCallId },
]

test('a text is one message, trimmed; an empty one and a person’s are none', () => {
  expect(messages(...text('a', ' Hello.\n'), ...text('b', ' \n'), ...text('c', 'mine', 'user'))).toEqual([
    ['assistant', 'Hello.'],
  ])
})

test('what no server stores is replaced: half a character, and a NUL', () => {
  expect(messages(...text('a', 'a\ud83d b\0 😀'))).toEqual([['assistant', 'a\ufffd b\ufffd 😀']])
})

test.each([
  ['{"command":"ls"}', { command: 'ls' }],
  ['', {}],
  ['[1]', { value: [1] }],
  ['"x"', { value: 'x' }],
  ['null', { value: null }],
  ['{"comm', { raw: '{"comm' }],
])('arguments %s are the input %j', (args, input) => {
  expect(messages(...call('t', args))).toEqual([['tool_use', { tool: 'Bash', tool_call_id: 't', input }]])
})

test('a result is cut at 2000 characters, never inside one', () => {
  const result = (content: string) => {
    const event = { type: EventType.TOOL_CALL_RESULT, messageId: 'm', toolCallId: 't', content } as const
    return messages(event)[0]?.[1]
  }
  expect(result('x'.repeat(2000))).toEqual({ tool_call_id: 't', result: 'x'.repeat(2000) })
  expect(result('x'.repeat(2001))).toEqual({
    tool_call_id: 't',
    result: `${'x'.repeat(2000)}... (truncated)`,
  })
  expect(result(`${'x'.repeat(1999)}😀y`)).toEqual({
    tool_call_id: 't',
    result: `${'x'.repeat(1999)}... (truncated)`,
  })
})

test('a run’s begin and end, an error and words of our own', () => {
  const run = { threadId: 's', runId: 'r' }
  expect(
    messages(
      { type: EventType.RUN_STARTED, ...run },
      { type: EventType.CUSTOM, name: 'agui-runner.notice', value: { text: 'x' } },
      { type: EventType.CUSTOM, name: 'agui-runner.api_error', value: { error: 'y' } },
      { type: EventType.CUSTOM, name: 'agui-runner.tool_progress', value: { toolCallId: 't' } },
      { type: EventType.RUN_ERROR, message: 'broken', code: 'model_error' },
    ),
  ).toEqual([
    ['lifecycle', { event: 'run_started' }],
    ['system', { custom_event: 'agui-runner.notice', value: { text: 'x' } }],
    ['error', { custom_event: 'agui-runner.api_error', value: { error: 'y' } }],
    ['error', { error: 'broken', code: 'model_error' }],
    ['lifecycle', { event: 'run_finished' }],
  ])
})

test('the audit trail has one event for what was streamed, and the others as they are', () => {
  const [open, delta, close] = text('a', 'Hello.')
  const step = { type: EventType.STEP_STARTED, stepName: 's' } as const
  if (open === undefined || delta === undefined || close === undefined) throw new Error('three')
  const trail = pushes(open, step, delta, delta, close).filter(({ to }) => to === 'events')
  expect(trail.map((push) => ({ ...push, payload: JSON.parse(push.payload) }))).toEqual([
    { to: 'events', type: 'STEP_STARTED', payload: step, count: 1 },
    {
      to: 'events',
      type: 'TEXT_MESSAGE_START',
      payload: { ...open, accumulated_content: 'Hello.Hello.', fragment_count: 2, end_event: close },
      count: 4,
      completedAt: 1004,
    },
  ])
})

test('whoever goes on in the middle of items that are open reads them anew, and completes them', () => {
  const [openA, deltaA, closeA] = text('a', 'A')
  const [openB, deltaB, closeB] = text('b', 'B')
  const events = [openA, openB, deltaB, closeB, deltaA, closeA].flatMap((event) => event ?? [])
  const whole = pushes(...events)
  const first = new Outgoing(0)
  const early = events
    .slice(0, 4)
    .flatMap((event, index) => first.apply({ seq: index + 1, at: 1000 + index, event }))
  expect(first.restart).toBe(0)
  const second = new Outgoing(first.restart)
  const late = events
    .map((event, index) => ({
      seq: index + 1,
      pushes: second.apply({ seq: index + 1, at: 1000 + index, event }),
    }))
    .flatMap(({ seq, pushes: said }) => (seq > 4 ? said : []))
  expect([...early, ...late]).toEqual(whole)
  expect(second.restart).toBe(6)
})

test('nothing that is pushed is larger than a server of gRPC takes', () => {
  const huge = '\u0001'.repeat(3 * 1024 * 1024)
  const all = pushes(
    ...text('a', huge),
    ...call('t', JSON.stringify({ huge })),
    { type: EventType.CUSTOM, name: 'agui-runner.notice', value: { text: huge } },
    { type: EventType.STATE_SNAPSHOT, snapshot: { huge } },
    { type: EventType.RUN_ERROR, message: huge },
  )
  expect(all.length).toBeGreaterThan(7)
  for (const { payload } of all) expect(Buffer.byteLength(payload)).toBeLessThan(4 * 1024 * 1024)
})
