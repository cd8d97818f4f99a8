// What stays in memory of threads that have gone quiet.
import { EventType } from '@ag-ui/core'
import { expect, test, vi } from 'vitest'
import { Batch } from '../../src/storage/batch.ts'
import { Tails, ThreadTail } from '../../src/storage/tails.ts'

const batch = (first: number): Batch =>
  Batch.of('run', [{ type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: 'words' }], {
    first,
    at: 0,
  })

test('a thread that is quiet gives its batches up, one after another, and keeps those that come later', async () => {
  const tails = new Tails(20)
  const [quiet, busy] = [new ThreadTail(), new ThreadTail()]
  tails.add(quiet, [batch(1)])
  tails.add(busy, [batch(1)])
  expect([quiet, busy].map((tail) => tail.from(0)?.length)).toEqual([1, 1])
  let first = 1
  await vi.waitFor(
    () => {
      first += 1
      tails.add(busy, [batch(first)])
      expect(quiet.from(0)).toBeUndefined()
    },
    { interval: 1 },
  )
  await vi.waitFor(() => expect(busy.batches).toEqual([]))
  expect(busy.bytes).toBe(0)
  tails.add(busy, [batch(first + 1)])
  expect(busy.from(first)).toHaveLength(1)
  await vi.waitFor(() => expect(busy.batches).toEqual([]))
})
