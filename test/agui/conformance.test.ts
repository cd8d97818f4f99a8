import { EventType, type Message } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import { judge } from '../support/agui-judge.ts'
import { caseNames, readGolden, readMessages, toEvents } from '../support/claude-cases.ts'

describe('every golden stream', () => {
  test.each(caseNames())('%s is AG-UI 1.0', async (name) => {
    expect((await judge(readGolden(name))).problems).toEqual([])
  })

  test.each(caseNames())('%s stays AG-UI 1.0 when Claude Code dies half way', async (name) => {
    const messages = readMessages(name)
    const events = toEvents(messages.slice(0, Math.ceil(messages.length / 2)))
    expect((await judge(JSON.parse(JSON.stringify(events)))).problems).toEqual([])
  })
})

const roles = (messages: readonly Message[]): string[] => messages.map((message) => message.role)

describe('what the reference client makes of it', () => {
  test('results stand behind the message that made the calls, in the order they came', async () => {
    const { messages } = await judge(readGolden('tool-parallel'))
    expect(roles(messages)).toEqual(['assistant', 'tool', 'tool', 'tool', 'assistant'])
    const [first] = messages
    expect(first).toMatchObject({ content: 'three', toolCalls: [{}, {}, {}] })
  })

  test('a call behind reasoning is a message of its own, behind that reasoning', async () => {
    const { messages } = await judge(readGolden('thinking-interleaved'))
    expect(roles(messages)).toEqual(['reasoning', 'assistant', 'tool', 'reasoning', 'assistant'])
  })

  test('texts before and between calls stay in their order', async () => {
    const { messages } = await judge(readGolden('tool-between-texts'))
    expect(messages.map((message) => message.content)).toEqual(['before', 'one', 'between', 'two', 'after'])
  })

  test('reasoning carries its signature back', async () => {
    const { messages } = await judge(readGolden('thinking-redacted'))
    expect(messages).toMatchObject([
      { role: 'reasoning', encryptedValue: 'claude-redacted:SECRET==' },
      { role: 'reasoning', encryptedValue: 'claude-signature:sig-2' },
      { role: 'assistant', content: 'Answer' },
    ])
  })

  test('an image is a part of the result', async () => {
    const { messages } = await judge(readGolden('read-image'))
    expect(messages).toMatchObject([
      { role: 'assistant' },
      { role: 'tool', content: [{ type: 'image', source: { type: 'data', mimeType: 'image/png' } }] },
      { role: 'assistant' },
    ])
  })

  test('a nested subagent keeps its own messages', async () => {
    const { messages } = await judge(readGolden('subagent-nested'))
    const owners = new Set(messages.map((message) => message.subagentRunId))
    expect(owners.size).toBe(3)
  })
})

describe('the judge', () => {
  const started = { type: 'RUN_STARTED', protocolVersion: '1.0', threadId: 't', runId: 'r' }
  const finished = { type: 'RUN_FINISHED', threadId: 't', runId: 'r', outcome: { type: 'success' } }
  const text = (id: string): object[] => [
    { type: 'TEXT_MESSAGE_START', messageId: id, role: 'assistant' },
    { type: 'TEXT_MESSAGE_CONTENT', messageId: id, delta: 'hi' },
    { type: 'TEXT_MESSAGE_END', messageId: id },
  ]
  const call = (id: string): object[] => [
    { type: 'TOOL_CALL_START', toolCallId: id, toolCallName: 'Bash', parentMessageId: `of-${id}` },
    { type: 'TOOL_CALL_END', toolCallId: id },
  ]
  const result = (id: string, messageId: string): object => ({
    type: 'TOOL_CALL_RESULT',
    messageId,
    toolCallId: id,
    content: '',
  })
  const usage = (entry: object): object => ({ ...finished, usage: [entry] })

  test('has nothing against a legal stream', async () => {
    const events = [started, ...text('a'), ...call('c'), result('c', 'd'), finished]
    expect((await judge(events)).problems).toEqual([])
  })

  test.each<[string, object[]]>([
    ['an unknown field', [{ ...started, seq: 1 }, finished]],
    ['a null field', [{ ...started, parentRunId: null }, finished]],
    ['an unknown event', [started, { type: 'PRIVATE' }, finished]],
    ['a stream that does not begin with the run', [...text('a'), started, finished]],
    ['no terminal event', [started, ...text('a')]],
    ['two terminal events', [started, finished, finished]],
    ['another version', [{ ...started, protocolVersion: '1.0.0' }, finished]],
    ['the end of another run', [started, { ...finished, runId: 'x' }]],
    ['an open message', [started, ...text('a').slice(0, 2), finished]],
    ['a message id that comes twice', [started, ...text('a'), ...text('a'), finished]],
    ['one id for two kinds', [started, ...text('a'), ...call('a'), finished]],
    ['a result of no call', [started, result('c', 'd'), finished]],
    ['a second result', [started, ...call('c'), result('c', 'd'), result('c', 'e'), finished]],
    [
      'half a character',
      [started, { ...text('a')[0] }, { ...text('a')[1], delta: '\ud83d' }, { ...text('a')[2] }, finished],
    ],
    [
      'an empty delta',
      [started, { ...text('a')[0] }, { ...text('a')[1], delta: '' }, { ...text('a')[2] }, finished],
    ],
    ['an owner nobody announced', [started, { ...result('c', 'd'), subagentRunId: 's' }, finished]],
    ['a fractional token', [started, usage({ inputTokens: 1.5 })]],
    ['a negative token', [started, usage({ inputTokens: -1 })]],
    ['a total that is no sum', [started, usage({ inputTokens: 1, outputTokens: 1, totalTokens: 3 })]],
    ['cached tokens beside the input', [started, usage({ inputTokens: 1, cachedInputTokens: 5 })]],
    ['one model twice', [started, { ...finished, usage: [{ model: 'm' }, { model: 'm' }] }]],
    ['a result without success', [started, { ...finished, outcome: { type: 'cancelled' }, result: 1 }]],
  ])('objects to %s', async (_what, events) => {
    expect((await judge(events)).problems).not.toEqual([])
  })
})

test('the golden streams hold every kind of event that the translator has', () => {
  const types = new Set(caseNames().flatMap((name) => readGolden(name).map((event) => Object(event).type)))
  const unused = [
    // The session's, or not made from anything Claude Code says.
    EventType.STATE_SNAPSHOT,
    EventType.STATE_DELTA,
    EventType.MESSAGES_SNAPSHOT,
    EventType.ACTIVITY_SNAPSHOT,
    EventType.ACTIVITY_DELTA,
    EventType.RAW,
    EventType.STEP_STARTED,
    EventType.STEP_FINISHED,
    EventType.TEXT_MESSAGE_CHUNK,
    EventType.TOOL_CALL_CHUNK,
    EventType.REASONING_MESSAGE_CHUNK,
  ]
  const missing = Object.values(EventType).filter((type) => !types.has(type))
  expect(missing.sort()).toEqual(unused.sort())
})
