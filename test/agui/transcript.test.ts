import { EventType, type Message } from '@ag-ui/core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { ownEvent } from '../../src/agui/own-events.ts'
import { Transcript } from '../../src/agui/transcript.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { takeSnapshot } from '../../src/thread/snapshot.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { caseNames, readGolden } from '../support/claude-cases.ts'
import { appendTo, StoreFolder } from '../support/event-log.ts'
import { VOLUME } from '../support/volume.ts'

const golden = (name: string): AguiEvent[] => readGolden(name) as AguiEvent[]

const STARTED: AguiEvent = {
  type: EventType.RUN_STARTED,
  threadId: 'thread-1',
  runId: 'r',
  protocolVersion: '1.0',
  input: {
    threadId: 'thread-1',
    runId: 'r',
    messages: [{ id: 'u1', role: 'user', content: 'Hello' }],
    tools: [],
    context: [],
  },
}
const FINISHED: AguiEvent = {
  type: EventType.RUN_FINISHED,
  threadId: 'thread-1',
  runId: 'r',
  outcome: { type: 'success' },
}

const text = (messageId: string, delta: string, more: object = {}): AguiEvent[] => [
  { type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant', ...more },
  { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta, ...more },
  { type: EventType.TEXT_MESSAGE_END, messageId, ...more },
]
const call = (toolCallId: string, parentMessageId?: string, more: object = {}): AguiEvent[] => [
  {
    type: EventType.TOOL_CALL_START,
    toolCallId,
    toolCallName: 'Bash',
    ...(parentMessageId === undefined ? {} : { parentMessageId }),
    ...more,
  },
  { type: EventType.TOOL_CALL_ARGS, toolCallId, delta: '{"command":', ...more },
  { type: EventType.TOOL_CALL_ARGS, toolCallId, delta: '"ls"}', ...more },
  { type: EventType.TOOL_CALL_END, toolCallId, ...more },
]
const result = (toolCallId: string, content: string, more: object = {}): AguiEvent => ({
  type: EventType.TOOL_CALL_RESULT,
  messageId: `${toolCallId}:result`,
  toolCallId,
  role: 'tool',
  content,
  ...more,
})
const SUBAGENT = (subagentRunId: string): AguiEvent => ({
  type: EventType.SUBAGENT_STARTED,
  subagentRunId,
  name: 'helper',
})
const SUBAGENT_END = (subagentRunId: string): AguiEvent => ({
  type: EventType.SUBAGENT_FINISHED,
  subagentRunId,
})

/** What the goldens do not hold: the user's own words, and items of two owners that overlap. */
const HAND_MADE: Record<string, AguiEvent[]> = {
  'a user message': [STARTED, ...text('a', 'Hi.'), FINISHED],
  'a user message taken in on the way': [
    STARTED,
    ...text('a', 'First.'),
    ...text('u2', 'Stop that', { role: 'user' }).map((event) =>
      event.type === EventType.TEXT_MESSAGE_START ? event : { ...event, role: undefined },
    ),
    ...text('b', 'Second.'),
    FINISHED,
  ].map((event) => JSON.parse(JSON.stringify(event)) as AguiEvent),
  'a call between two texts': [
    STARTED,
    ...text('a', 'Before.'),
    ...call('c', 'a'),
    result('c', 'listing', { metadata: { 'agui-runner': { isError: true } } }),
    ...text('b', 'After.'),
    FINISHED,
  ],
  'two subagents that talk at the same time': [
    STARTED,
    ...call('c1'),
    ...call('c2'),
    SUBAGENT('s1'),
    SUBAGENT('s2'),
    ...interleave(
      [
        ...text('x1', 'One says.', { subagentRunId: 's1' }),
        ...call('y1', undefined, { subagentRunId: 's1' }),
        result('y1', 'one', { subagentRunId: 's1' }),
      ],
      [
        ...text('x2', 'Two says.', { subagentRunId: 's2' }),
        ...call('y2', 'x2', { subagentRunId: 's2' }),
        result('y2', 'two', { subagentRunId: 's2' }),
      ],
    ),
    SUBAGENT_END('s1'),
    SUBAGENT_END('s2'),
    result('c1', 'done'),
    result('c2', 'done'),
    FINISHED,
  ],
  'several runs': [
    STARTED,
    ...text('a', 'One.'),
    FINISHED,
    runStarted('r2', 'u2'),
    ...text('b', 'Two.'),
    { type: EventType.RUN_ERROR, message: 'broken', code: 'claude_exited' },
    runStarted('r3', 'u3'),
    ...call('c'),
    result('c', 'three'),
    ...text('d', 'Three.'),
    { ...FINISHED, runId: 'r3' } as AguiEvent,
  ],
  'a text that is closed and goes on': [
    STARTED,
    ...text('a', 'One, '),
    ...text('b', 'between'),
    ...text('a', 'two.'),
    FINISHED,
  ],
  'a call that overlaps its text': [
    STARTED,
    ...text('a', 'Text.').slice(0, 2),
    ...call('c', 'a').slice(0, 2),
    { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'a', delta: ' More.' },
    ...call('c', 'a').slice(2),
    { type: EventType.TEXT_MESSAGE_END, messageId: 'a' },
    FINISHED,
  ],
}

function runStarted(runId: string, messageId: string): AguiEvent {
  const messages = [{ id: messageId, role: 'user' as const, content: `words of ${messageId}` }]
  return {
    type: EventType.RUN_STARTED,
    threadId: 'thread-1',
    runId,
    protocolVersion: '1.0',
    input: { threadId: 'thread-1', runId, messages, tools: [], context: [] },
  }
}

function interleave<T>(one: readonly T[], two: readonly T[]): T[] {
  return one.flatMap((item, index) => [item, ...two.slice(index, index + 1)]).concat(two.slice(one.length))
}

const STREAMS: [name: string, events: AguiEvent[]][] = [
  ...caseNames().map((name): [string, AguiEvent[]] => [name, golden(name)]),
  ...Object.entries(HAND_MADE),
]

interface Taken {
  messageIds: string[]
  toolCallIds: string[]
}

/** What Claude Code took back in these events; AG-UI cannot say it, so that a client may keep it or not. */
function retractedIn(events: readonly AguiEvent[]): Taken {
  const taken = events.flatMap((event) =>
    event.type === EventType.CUSTOM && event.name === 'agui-runner.retracted' ? [event.value as Taken] : [],
  )
  return {
    messageIds: taken.flatMap(({ messageIds }) => messageIds),
    toolCallIds: taken.flatMap(({ toolCallIds }) => toolCallIds),
  }
}

/** The messages without what was taken back, and without the client's bookkeeping in undefined members. */
function lasting(messages: readonly Message[], { messageIds, toolCallIds }: Taken): unknown {
  const kept = messages.flatMap((message): Message[] => {
    if (messageIds.includes(message.id)) return []
    if (message.role !== 'assistant' || message.toolCalls === undefined) return [message]
    const { toolCalls, ...rest } = message
    const left = toolCalls.filter(({ id }) => !toolCallIds.includes(id))
    if (left.length > 0) return [{ ...rest, toolCalls: left }]
    return rest.content === undefined ? [] : [rest]
  })
  return JSON.parse(JSON.stringify(kept))
}

describe('of a whole stream the transcript holds what the reference client holds', () => {
  test.each(STREAMS)('%s', async (_name, events) => {
    const transcript = new Transcript()
    for (const event of events) transcript.apply(event)
    const taken = retractedIn(events)
    const nothing = { messageIds: [], toolCallIds: [] }
    expect(lasting(transcript.messages(), nothing)).toEqual(lasting(await messagesOf(events), taken))
  })
})

describe('a client that comes in anywhere holds at the end what one holds that read everything', () => {
  let folder: StoreFolder
  let storage: Storage
  beforeAll(async () => {
    folder = new StoreFolder()
    storage = await folder.open()
  })
  afterAll(() => folder.remove())

  test.each(STREAMS)('%s', { timeout: 60_000 }, async (name, events) => {
    const taken = retractedIn(events)
    const whole = lasting(await messagesOf(events), taken)
    const signal = new AbortController().signal
    const options = { threadId: name, connectId: 'connect-1', signal }
    // Into a long stream behind every third event, and behind each with AGUI_VOLUME=5.
    const stride = VOLUME < 5 && events.length > 40 ? 3 : 1
    for (const [index, event] of events.entries()) {
      await appendTo(storage, name, 'r', [event])
      if (index % stride !== 0 && index < events.length - 1) continue
      const snapshot = await takeSnapshot(storage.log, { ...options, threadId: name })
      expect(snapshot.head).toBe(index + 1)
      const rest = events.slice(index + 1)
      const seen = [...snapshot.events, ...rest].map(onThread)
      expect(lasting(await messagesOf(seen), taken), `after event ${index} (${event.type})`).toEqual(whole)
    }
  })

  /** The snapshot's own runs name the thread by its log; the recordings have another name for it. */
  function onThread(event: AguiEvent): object {
    return 'threadId' in event ? { ...event, threadId: 'thread-1' } : event
  }
})

test('a conversation that is taken back to before what retention has left is only what the new run brings', () => {
  const transcript = new Transcript()
  const ask = (id: string, content: string): AguiEvent => {
    const ids = { threadId: 't', runId: content }
    const messages = [{ id, role: 'user' as const, content }]
    return { type: EventType.RUN_STARTED, ...ids, input: { ...ids, messages, tools: [], context: [] } }
  }
  transcript.apply(ask('kept', 'left by retention'), 90)
  transcript.apply({ type: EventType.RUN_FINISHED, threadId: 't', runId: 'left' }, 91)
  transcript.apply(ask('kept', 'edited'), 92)
  transcript.apply(ownEvent('taken_back', { afterSeq: 40 }), 93)
  expect(transcript.messages()).toEqual([{ id: 'kept', role: 'user', content: 'edited' }])
})

test('an empty thread is a run with no messages', async () => {
  const folder = new StoreFolder()
  const storage = await folder.open()
  const { events, head } = await takeSnapshot(storage.log, {
    threadId: 'thread-1',
    connectId: 'connect-1',
    signal: new AbortController().signal,
  })
  expect(head).toBe(0)
  expect(events.map(({ type }) => type)).toEqual(['RUN_STARTED', 'MESSAGES_SNAPSHOT', 'RUN_FINISHED'])
  expect(await messagesOf(events)).toEqual([])
  await folder.remove()
})

test('what waits for a person still waits for a client that comes later', async () => {
  const folder = new StoreFolder()
  const storage = await folder.open()
  const interrupts = [{ id: 'i1', reason: 'tool_call', message: 'May I?' }]
  await appendTo(storage, 'thread-1', 'r', [
    STARTED,
    ...call('c'),
    { ...FINISHED, outcome: { type: 'interrupt', interrupts } } as AguiEvent,
  ])
  const { events } = await takeSnapshot(storage.log, {
    threadId: 'thread-1',
    connectId: 'connect-1',
    signal: new AbortController().signal,
  })
  expect(events.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'interrupt', interrupts } })
  await folder.remove()
})

test('a snapshot of a thread whose beginning is gone by retention is legal and has what is left', async () => {
  const folder = new StoreFolder()
  const storage = await folder.open({ retentionBytes: 1024 * 1024 })
  const big = 'x'.repeat(5000)
  const append = (events: AguiEvent[]): Promise<unknown> => appendTo(storage, 'thread-1', 'r', events)
  await append([STARTED])
  for (let index = 0; index < 300; index++) await append(text(`m${index}`, `${index} ${big}`))
  await append(text('open', 'half').slice(0, 2))
  const { events } = await takeSnapshot(storage.log, {
    threadId: 'thread-1',
    connectId: 'connect-1',
    signal: new AbortController().signal,
  })
  const rest = [...text('open', ' a word').slice(1), FINISHED]
  const messages = await messagesOf([...events, ...rest])
  expect(messages.length).toBeGreaterThan(50)
  expect(messages.length).toBeLessThan(299)
  expect(messages.at(-1)).toMatchObject({ id: 'open', content: 'half a word' })
  await folder.remove()
})

test('while a long history is gathered the event loop goes on turning', async () => {
  const folder = new StoreFolder()
  const storage = await folder.open()
  const big = 'x'.repeat(2000)
  await appendTo(storage, 'thread-1', 'r', [STARTED])
  for (let from = 0; from < 3000; from += 20) {
    const events = Array.from({ length: 20 }, (_, index) => text(`m${from + index}`, big)).flat()
    await appendTo(storage, 'thread-1', 'r', events)
  }
  let turns = 0
  const ticking = setInterval(() => {
    turns += 1
  }, 0)
  await takeSnapshot(storage.log, {
    threadId: 'thread-1',
    connectId: 'connect-1',
    signal: new AbortController().signal,
  })
  clearInterval(ticking)
  expect(turns).toBeGreaterThan(5)
  await folder.remove()
})
