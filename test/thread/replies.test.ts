import { EventType } from '@ag-ui/core'
import { describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import { Replies, replyOf } from '../../src/thread/replies.ts'

const LONG = `  ${'so läng, 😀 '.repeat(2000)}\n`

/** The digest of a text that is streamed in these deltas, each in a batch of its own. */
function streamed(deltas: readonly string[]): string | undefined {
  const replies = new Replies([])
  const events: AguiEvent[] = [
    { type: EventType.TEXT_MESSAGE_START, messageId: 'm', role: 'assistant' },
    ...deltas.map((delta): AguiEvent => ({ type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta })),
    { type: EventType.TEXT_MESSAGE_END, messageId: 'm' },
  ]
  return events.flatMap((event) => replies.completedBy([event]))[0]?.[1]
}

const held = (content: string): string | undefined => replyOf({ id: 'm', role: 'assistant', content })?.[1]

describe('the digest of an answer', () => {
  test.each<[string, string, number]>([
    ['in one delta', LONG, LONG.length],
    ['by single code units', LONG, 1],
    ['in pieces that end with blanks', LONG, 11],
    ['of blanks alone', ' \n '.repeat(3000), 7],
    ['short', 'Hello.', 2],
  ])('%s is that of the message, whatever its blank ends', (_what, text, size) => {
    const deltas = Array.from({ length: Math.ceil(text.length / size) }, (_, at) =>
      text.slice(at * size, (at + 1) * size),
    )
    expect([streamed(deltas), held(text.trim()), held(`\t${text}`)]).toEqual([
      held(text),
      held(text),
      held(text),
    ])
  })

  test('differs when a blank within differs', () => {
    expect(held('a  b')).not.toBe(held('a b'))
    expect(streamed(['a ', ' b'])).toBe(held('a  b'))
  })
})
