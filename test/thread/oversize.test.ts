import { EventType } from '@ag-ui/core'
import { EventSchema } from '@ag-ui/core/schemas'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { toLine } from '../../src/agui/json-line.ts'
import { ownEvent } from '../../src/agui/own-events.ts'
import type { Blob } from '../../src/storage/blob.ts'
import { Oversize } from '../../src/thread/oversize.ts'

const MIB = 1024 * 1024
const LONE_SURROGATE = /[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/

function fitted(event: AguiEvent, eventBytesMax = MIB): { events: AguiEvent[]; blobs: Blob[] } {
  const blobs: Blob[] = []
  const oversize = new Oversize({
    eventBytesMax,
    keep: (blob) => `blob-${blobs.push(blob) - 1}`,
    urlOf: (id) => `/sessions/t/blobs/${id}`,
  })
  const events = oversize.fit(event)
  for (const each of events) {
    expect(Buffer.byteLength(toLine(JSON.stringify(each)))).toBeLessThanOrEqual(eventBytesMax)
    expect(EventSchema.safeParse(each).success).toBe(true)
  }
  return { events, blobs }
}

const result = (content: Extract<AguiEvent, { type: EventType.TOOL_CALL_RESULT }>['content']): AguiEvent => ({
  type: EventType.TOOL_CALL_RESULT,
  messageId: 'r',
  toolCallId: 'c',
  content,
})

test('an event that fits stays as it is', () => {
  const event = result('short')
  expect(fitted(event)).toEqual({ events: [event], blobs: [] })
})

test.each([
  ['letters', 'x'.repeat(5 * MIB)],
  ['what JSON escapes six-fold', '\u0001'.repeat(2 * MIB)],
  ['characters outside the basic plane', '😀'.repeat(MIB)],
  ['what is longer on the wire than in JSON, and fits there', '\u0085'.repeat(MIB / 3)],
])('a tool result of megabytes of %s is cut with a marker, and the whole is kept', (_what, content) => {
  const { events, blobs } = fitted(result(content))
  expect(events).toHaveLength(1)
  expect(blobs.map(({ bytes }) => bytes.toString())).toEqual([content])
  expect(events[0]).toMatchObject({
    content: expect.stringMatching(/cut by agui-runner.*\/sessions\/t\/blobs\/blob-0\]$/s),
    metadata: { 'agui-runner': { blob: { id: 'blob-0', bytes: Buffer.byteLength(content) } } },
  })
})

test('a large picture of a message that a turn took in is kept elsewhere', () => {
  const value = Buffer.alloc(20_000, 'p').toString('base64')
  const parts = [{ type: 'image', source: { type: 'data', mimeType: 'image/png', value } }]
  const metadata = { 'agui-runner': { parts } }
  const { events, blobs } = fitted(
    { type: EventType.TEXT_MESSAGE_START, messageId: 'm', role: 'user', metadata },
    4096,
  )
  const source = { type: 'url', value: '/sessions/t/blobs/blob-0', mimeType: 'image/png' }
  expect(events).toMatchObject([{ metadata: { 'agui-runner': { parts: [{ type: 'image', source }] } } }])
  expect(blobs.map(({ bytes }) => bytes.toString())).toEqual(['p'.repeat(20_000)])
})

test.each([
  ['words', 'look', 'look'],
  ['far too many words', '\u0001'.repeat(9000), expect.stringContaining('/sessions/t/blobs/blob-0]')],
])('a pending message with %s keeps its large picture elsewhere', (_what, content, shown) => {
  const value = Buffer.alloc(20_000, 'p').toString('base64')
  const parts = [{ type: 'image', source: { type: 'data', mimeType: 'image/png', value } }]
  const { events, blobs } = fitted(ownEvent('message_pending', { messageId: 'm', content, parts }), 4096)
  const source = { type: 'url', value: `/sessions/t/blobs/blob-${blobs.length - 1}`, mimeType: 'image/png' }
  expect(events).toMatchObject([
    { value: { messageId: 'm', content: shown, parts: [{ type: 'image', source }] } },
  ])
  expect(blobs.at(-1)?.bytes.toString()).toBe('p'.repeat(20_000))
})

test.each([MIB, 4096])(
  'streamed text above the limit of %i goes in several deltas, never cut inside a character',
  (limit) => {
    const delta = `a${'😀'.repeat(MIB)}`
    const { events } = fitted({ type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta }, limit)
    const deltas = events.flatMap((event) =>
      event.type === EventType.TEXT_MESSAGE_CONTENT ? [event.delta] : [],
    )
    expect(deltas.join('')).toBe(delta)
    expect(deltas.every((piece) => !LONE_SURROGATE.test(piece))).toBe(true)
  },
)

test('a large image in a result goes out of line as what it is', () => {
  const bytes = Buffer.alloc(2 * MIB, 7)
  const source = { type: 'data' as const, mimeType: 'image/png', value: bytes.toString('base64') }
  const { events, blobs } = fitted(
    result([
      { type: 'text', text: 'look' },
      { type: 'image', source },
    ]),
  )
  const blob = blobs.at(-1)
  expect(blob?.contentType).toBe('image/png')
  expect(blob !== undefined && bytes.equals(blob.bytes)).toBe(true)
  expect(events[0]).toMatchObject({
    content: [
      { type: 'text', text: 'look' },
      { type: 'image', source: { type: 'url', mimeType: 'image/png' } },
    ],
  })
})

test('a large result of a run and a large custom value are kept whole beside the event', () => {
  const value = { words: 'x'.repeat(2 * MIB) }
  const custom = fitted({ type: EventType.CUSTOM, name: 'agui-runner.x', value })
  expect(JSON.parse(String(custom.blobs[0]?.bytes))).toEqual(value)
  const finished = fitted({ type: EventType.RUN_FINISHED, threadId: 't', runId: 'r', result: value })
  expect(finished.events[0]).toMatchObject({
    result: { truncated: true, blob: { url: '/sessions/t/blobs/blob-0' } },
  })
})

test('a question about a call with megabytes of input stays a question, and the input is kept whole', () => {
  const interrupts = ['a', 'b'].map((id) => {
    const input = { file_path: id, content: 'x'.repeat(2 * MIB) }
    const message = `${id} wants to run. ${'y'.repeat(2 * MIB)}`
    return {
      id,
      reason: 'tool_call',
      message,
      toolCallId: id,
      metadata: { 'agui-runner': { tool: 'Write', input } },
    }
  })
  const { events, blobs } = fitted({
    type: EventType.RUN_FINISHED,
    threadId: 't',
    runId: 'r',
    outcome: { type: 'interrupt', interrupts },
  })
  expect(events).toMatchObject([
    {
      outcome: {
        interrupts: [
          {
            id: 'a',
            toolCallId: 'a',
            message: expect.stringMatching(/^a wants to run\..*cut by agui-runner/s),
          },
          { id: 'b', metadata: { 'agui-runner': { tool: 'Write', input: { truncated: true } } } },
        ],
      },
    },
  ])
  expect(blobs.map(({ bytes }) => bytes.length)).toEqual(
    interrupts.flatMap(({ message, metadata }) => [
      message.length,
      JSON.stringify(metadata['agui-runner'].input).length,
    ]),
  )
})
