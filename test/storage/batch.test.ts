// What a batch says of itself, so that nobody has to read its events.
import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { framesOf } from '../../src/http/stream/encoding.ts'
import { Batch } from '../../src/storage/batch.ts'

const text: AguiEvent = { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: 'words' }
const args: AguiEvent = { type: EventType.TOOL_CALL_ARGS, toolCallId: 'c', delta: '{' }
const end: AguiEvent = { type: EventType.TEXT_MESSAGE_END, messageId: 'm' }
const batchOf = (...events: AguiEvent[]): Batch => Batch.of('run', events, { first: 1, at: 0 })
const again = (batch: Batch): Batch => Batch.decode(batch.encode())

test.each([
  ['nothing but text', [text, args, text], true],
  ['an end too', [text, text, end], false],
  ['no text', [end], false],
])('a batch with %s says so, also from the store, and so does its rest', (_what, events, isText) => {
  const batch = batchOf(...events)
  expect([batch, again(batch), batch.after(1)].map((each) => each.isText)).toEqual([isText, isText, isText])
  expect(again(batch).frames).toEqual(batch.frames)
})

test('one that was stored before batches said so is read event by event', () => {
  const [header = '', ...sse] = batchOf(text).encode().toString().split('\n')
  const { isText: _, ...before } = JSON.parse(header)
  const stored = [JSON.stringify(before), ...sse].join('\n')
  expect(Batch.decode(Buffer.from(stored)).isText).toBe(false)
})

test('no event holds a character that ends a line for a client, and each reads as it was', () => {
  const delta = 'one\u2028two\u0085three\u2029four "\\u2028" \u00e9'
  const batch = batchOf({ ...text, delta }, text)
  expect(batch.sse.toString()).not.toMatch(/[\u0085\u2028\u2029]/)
  expect(
    again(batch)
      .records()
      .map(({ event }) => event),
  ).toEqual([{ ...text, delta }, text])
  expect(framesOf({ dialect: 'older', threadId: 't' }, [{ ...text, delta }])).toMatchObject([
    { json: expect.not.stringMatching(/[\u0085\u2028\u2029]/) },
  ])
})

test('of the frames for one record only the last has its seq, however many a reader gets', () => {
  const ended = {
    type: EventType.RUN_FINISHED,
    threadId: 't',
    runId: 'r',
    outcome: { type: 'cancelled' },
  } as const
  const seqs = (dialect: '1.0' | 'older') =>
    framesOf({ dialect, threadId: 't' }, [text, ended], 7).map(({ seq }) => seq)
  expect(seqs('1.0')).toEqual([undefined, 7])
  expect(seqs('older')).toEqual([undefined, undefined, 7])
})
