import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Batch } from '../../src/storage/batch.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { appendTo, deltas, StoreFolder, turn } from '../support/event-log.ts'
import { RedisServer } from '../support/redis-server.ts'

type Step =
  | { kind: 'append'; thread: number; count: number; size: number; awaited: boolean }
  | { kind: 'open'; thread: number; after: number }
  | { kind: 'pull'; reader: number }
  | { kind: 'leave'; reader: number }
  | { kind: 'drop'; thread: number; awaited: boolean }
  | { kind: 'turn' }

const thread = fc.nat(2)
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant('append' as const),
      thread,
      count: fc.integer({ min: 1, max: 5 }),
      size: fc.constantFrom(0, 10, 700, 90_000, 500_000),
      awaited: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('open' as const), thread, after: fc.nat(20) }) },
  { weight: 5, arbitrary: fc.record({ kind: fc.constant('pull' as const), reader: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('leave' as const), reader: fc.nat(5) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('drop' as const), thread, awaited: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('turn' as const) }) },
)

/** Where one storage is kept. */
interface Folder {
  open(): Promise<Storage>
  remove(): Promise<void>
}

/** A thread as a plain array: what the log must be indistinguishable from. */
interface Model {
  texts: string[]
}

interface Reader {
  model: Model
  seq: number
  iterator: AsyncIterator<readonly Batch[]>
  stop: AbortController
  /** A pull that waits for a record to come. */
  pending: Promise<void> | undefined
}

/** @param options.waitsForDrops where a drop takes its time, nobody opens a thread in it: `Threads` waits for deletions. */
async function play(
  steps: readonly Step[],
  folder: Folder,
  options: { waitsForDrops: boolean },
): Promise<void> {
  const storage = await folder.open()
  const { log } = storage
  const models: Model[] = [0, 1, 2].map(() => ({ texts: [] }))
  const readers: Reader[] = []
  const work: Promise<unknown>[] = []
  const drops: Promise<unknown>[] = []
  let count = 0

  const pull = (reader: Reader): void => {
    reader.pending ??= (async () => {
      const { value, done } = await reader.iterator.next()
      reader.pending = undefined
      if (done === true) return
      for (const { seq, json } of value.flatMap((batch: Batch) => batch.frames)) {
        expect(seq).toBe(reader.seq + 1)
        expect(json).toBe(reader.model.texts[seq - 1])
        reader.seq = seq
      }
    })()
  }
  const modelOf = (index: number): Model => models[index] ?? { texts: [] }

  const act: { [K in Step['kind']]: (step: Extract<Step, { kind: K }>) => Promise<unknown> | undefined } = {
    append({ thread: index, count: events, size, awaited }) {
      const batch = deltas(events, `${count++} ${'x'.repeat(size)}`)
      const { texts } = modelOf(index)
      const first = texts.length + 1
      texts.push(...batch.map((event) => JSON.stringify(event)))
      const appending = appendTo(storage, `thread-${index}`, 'r', batch).then((done) =>
        expect(done.first).toBe(first),
      )
      work.push(appending)
      return awaited ? appending : undefined
    },
    async open({ thread: index, after }) {
      if (options.waitsForDrops) await drops[index]
      const stop = new AbortController()
      const model = modelOf(index)
      const seq = Math.min(after, await log.head(`thread-${index}`))
      const iterator = log.read(`thread-${index}`, seq, stop.signal)[Symbol.asyncIterator]()
      readers.push({ model, seq, iterator, stop, pending: undefined })
      pull(readers.at(-1) as Reader)
    },
    pull({ reader }) {
      const chosen = readers[reader % Math.max(readers.length, 1)]
      if (chosen !== undefined) pull(chosen)
      return undefined
    },
    leave({ reader }) {
      readers[reader % Math.max(readers.length, 1)]?.stop.abort()
      return undefined
    },
    drop({ thread: index, awaited }) {
      models[index] = { texts: [] }
      const dropping = storage.drop(`thread-${index}`)
      work.push(dropping)
      drops[index] = dropping
      return awaited ? dropping : undefined
    },
    turn: () => turn(),
  }

  try {
    for (const next of steps) await act[next.kind](next as never)
    await Promise.all(work)
    for (const [index, { texts }] of models.entries()) {
      expect(await log.head(`thread-${index}`)).toBe(texts.length)
    }
    await log.close()
    // Whoever has not left reads on to the end of a closed log: everything of its thread, nothing else.
    for (const reader of readers) {
      await reader.pending
      if (reader.stop.signal.aborted || !models.includes(reader.model)) continue
      for (;;) {
        const before = reader.seq
        pull(reader)
        await reader.pending
        if (reader.seq === before) break
      }
      expect(reader.seq).toBe(reader.model.texts.length)
    }
  } finally {
    await folder.remove()
  }
}

const RUNS = Number(process.env['FUZZ_RUNS'] ?? 60)

test('whatever comes in whatever order, each reader sees a plain array', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) =>
      play(steps, new StoreFolder(), { waitsForDrops: false }),
    ),
    { numRuns: RUNS },
  )
})

test('and in Redis', { timeout: 120_000 }, async () => {
  const server = await RedisServer.start()
  const folder = (): Folder => {
    let storage: Storage | undefined
    return {
      async open() {
        storage = await RedisStorage.open({
          url: server.url,
          runnerId: 'a',
          runnerUrl: 'http://a',
          leaseMs: 60_000,
          retentionBytes: 1024 ** 3,
        })
        return storage
      },
      async remove() {
        await storage?.close()
        await server.ask('FLUSHALL')
      },
    }
  }
  try {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) =>
        play(steps, folder(), { waitsForDrops: true }),
      ),
      { numRuns: Math.ceil(RUNS / 5) },
    )
  } finally {
    await server.close()
  }
})
