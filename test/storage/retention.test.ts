import { statSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import type { Batch } from '../../src/storage/batch.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import { appendTo, delta, readRecords, StoreFolder, seqsOf, span } from '../support/event-log.ts'

const MIB = 1024 * 1024
const LIMIT = 8 * MIB

let folder: StoreFolder
beforeEach(() => {
  folder = new StoreFolder()
})
afterEach(() => folder.remove())

async function oldestSeq(log: EventLog, threadId: string): Promise<number> {
  try {
    await log.checkReplay(threadId, 0)
    return 1
  } catch (error) {
    if (!(error instanceof RunnerError) || error.code !== 'replay_expired') throw error
    return Object(error.details).oldestSeq
  }
}

test.each([
  ['small batches', 100, 15_000, 2 * MIB],
  ['page-sized batches', 3000, 6000, LIMIT],
  ['large batches', 100_000, 400, LIMIT],
])(
  'with %s the bytes stay below the limit, and what is left has no hole',
  async (_what, size, count, limit) => {
    const storage = await folder.open({ retentionBytes: limit })
    const { log } = storage
    const text = 'x'.repeat(size)
    let most = 0
    for (let index = 0; index < count; index += 50) {
      await Promise.all(span(1, 50).map(() => appendTo(storage, 't', 'r', [delta(text)])))
      most = Math.max(most, await log.usedBytes())
    }
    expect(most).toBeLessThanOrEqual(limit)
    expect(statSync(join(folder.directory, 'log.mdb')).size).toBeLessThan(3 * limit)
    expect(await log.head('t')).toBe(count)
    const oldest = await oldestSeq(log, 't')
    expect(oldest).toBeGreaterThan(1)
    // Not more than needed is gone either.
    expect(await log.usedBytes()).toBeGreaterThan(limit * 0.8)
    expect(seqsOf(await readRecords(log, 't', { after: oldest - 1 }))).toEqual(span(oldest, count))
    await expect(log.checkReplay('t', oldest - 2)).rejects.toMatchObject({ code: 'replay_expired' })
    await log.checkReplay('t', oldest - 1)
  },
)

test('a reader that retention passes by is told so, and from where it can go on', async () => {
  const storage = await folder.open({ retentionBytes: LIMIT })
  const { log } = storage
  await appendTo(storage, 't', 'r', [delta('first'), delta('second')])
  const reader = log.read('t', 0, new AbortController().signal)[Symbol.asyncIterator]()
  const first: IteratorResult<readonly Batch[]> = await reader.next()
  expect(first.value.at(-1)?.last).toBe(2)
  const text = 'x'.repeat(50_000)
  for (let index = 0; index < 400; index++) await appendTo(storage, 't', 'r', [delta(text)])
  const oldest = await oldestSeq(log, 't')
  expect(oldest).toBeGreaterThan(3)
  await expect(reader.next()).rejects.toMatchObject({
    code: 'replay_expired',
    details: { oldestSeq: oldest },
  })
})

test('readers under retention see either every record or the word that some are gone', async () => {
  const storage = await folder.open({ retentionBytes: LIMIT })
  const { log } = storage
  const total = 1000
  /** One that stays away after its first step until it is called back. */
  const read = async (back: Promise<void>): Promise<{ jumps: number; holes: number }> => {
    let jumps = 0
    let holes = 0
    let seq = 0
    while (seq < total) {
      try {
        for await (const batches of log.read('t', seq, new AbortController().signal)) {
          for (const { seq: next } of batches.flatMap(({ frames }) => frames)) {
            if (next !== seq + 1) holes += 1
            seq = next
          }
          if (seq >= total) break
          await back
        }
      } catch (error) {
        if (!(error instanceof RunnerError) || error.code !== 'replay_expired') throw error
        jumps += 1
        seq = Object(error.details).oldestSeq - 1
      }
    }
    return { jumps, holes }
  }
  const calls = new Map<number, () => void>()
  const calledAt = (head: number): Promise<void> => new Promise((resolve) => calls.set(head, resolve))
  const readers = [read(Promise.resolve()), read(calledAt(125)), read(calledAt(750))]
  const text = 'x'.repeat(32_000)
  for (let head = 1; head <= total; head++) {
    await appendTo(storage, 't', 'r', [delta(text)])
    calls.get(head)?.()
  }
  expect(await Promise.all(readers)).toEqual([
    { jumps: 0, holes: 0 },
    { jumps: 0, holes: 0 },
    { jumps: 1, holes: 0 },
  ])
})

test('the oldest records go first, whichever thread they are of, and every thread keeps its last', async () => {
  let clock = 0
  const storage = await folder.open({ retentionBytes: LIMIT, now: () => ++clock })
  const { log } = storage
  const text = 'x'.repeat(10_000)
  for (let index = 0; index < 5; index++) await appendTo(storage, 'old', 'r', [delta(text), delta(text)])
  await appendTo(storage, 'small', 'r', [delta('only')])
  for (let index = 0; index < 300; index++) await appendTo(storage, 'middle', 'r', [delta(text)])
  for (let index = 0; index < 700; index++) await appendTo(storage, 'busy', 'r', [delta(text)])
  expect(await oldestSeq(log, 'old')).toBe(9)
  expect(seqsOf(await readRecords(log, 'old', { after: 8 }))).toEqual([9, 10])
  expect(await oldestSeq(log, 'small')).toBe(1)
  const middle = await oldestSeq(log, 'middle')
  expect(middle).toBeGreaterThan(1)
  expect(middle).toBeLessThanOrEqual(300)
  if (middle < 300) expect(await oldestSeq(log, 'busy')).toBe(1)
  expect(await Promise.all(['old', 'small', 'middle', 'busy'].map((id) => log.head(id)))).toEqual([
    10, 1, 300, 700,
  ])
})

test('on the same folder the seq goes on behind what retention removed', async () => {
  const first = await folder.open({ retentionBytes: LIMIT })
  const text = 'x'.repeat(50_000)
  for (let index = 0; index < 400; index++) await appendTo(first, 't', 'r', [delta(text)])
  const oldest = await oldestSeq(first.log, 't')
  await first.close()
  const storage = await folder.open({ retentionBytes: LIMIT })
  const { log } = storage
  expect([await log.head('t'), await oldestSeq(log, 't')]).toEqual([400, oldest])
  expect((await appendTo(storage, 't', 'r', [delta('x')])).first).toBe(401)
})
