import { EventType } from '@ag-ui/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { Batch } from '../../src/storage/batch.ts'
import type { EventLog } from '../../src/storage/event-log.ts'
import type { Storage } from '../../src/storage/storage.ts'
import type { Write } from '../../src/storage/table.ts'
import {
  appendTo,
  delta,
  deltas,
  hashOf,
  readBatches,
  readRecords,
  seqsOf,
  span,
  turn,
} from '../support/event-log.ts'

/** Where one storage is kept. */
export interface Place {
  /** What is there; what was opened before is closed. */
  open(): Promise<Storage>
  /** The last seq of a thread that another process would find there now. */
  committedHead(threadId: string): number | Promise<number>
  /** Makes the facts of a thread something that nobody wrote, under what is open. */
  damageFacts(threadId: string): Promise<void>
  /** Closes what is open and removes all of it. */
  remove(): Promise<void>
}

/** What every backend of the storage port has to pass. */
export function storageContract(createPlace: () => Place): void {
  let place: Place
  let storage: Storage
  let log: EventLog

  beforeEach(async () => {
    place = createPlace()
    await reopen()
  })
  afterEach(() => place.remove())

  async function reopen(): Promise<void> {
    await (storage as Storage | undefined)?.close()
    storage = await place.open()
    log = storage.log
  }

  const append = (threadId: string, runId: string, events: readonly AguiEvent[]): Promise<Batch> =>
    appendTo(storage, threadId, runId, events)

  /** What a read that ends by itself gives. */
  async function drain(threadId: string, from = 0, signal = new AbortController().signal): Promise<Batch[]> {
    const all: Batch[] = []
    for await (const batches of log.read(threadId, from, signal)) all.push(...batches)
    return all
  }

  /** Whether the promise settles while the event loop turns a few times. */
  async function settles(promise: Promise<unknown>): Promise<boolean> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    for (let turns = 0; turns < 20 && !isSettled; turns++) await turn()
    return isSettled
  }

  describe('appending', () => {
    test('gives seqs from 1 without gaps, in call order, also to appends at once', async () => {
      const batches = await Promise.all(
        span(1, 200).map((index) => append('t', `run-${index % 3}`, deltas(1 + (index % 4), `${index}:`))),
      )
      let next = 1
      for (const batch of batches) {
        expect(batch.first).toBe(next)
        next = batch.last + 1
      }
      const records = await readRecords(log, 't')
      expect(seqsOf(records)).toEqual(span(1, next - 1))
      expect(records.map(({ event }) => event)).toEqual(
        span(1, 200).flatMap((index) => deltas(1 + (index % 4), `${index}:`)),
      )
      expect(await log.head('t')).toBe(next - 1)
    })

    test('large records at once are told in order, although the store confirms them out of order', async () => {
      const big = 'x'.repeat(100_000)
      const heads: number[] = []
      const reading = readBatches(log, 't', { upTo: 200 })
      for (const round of span(0, 3)) {
        await Promise.all(
          span(1, 50).map(async (index) => {
            const batch = await append('t', 'r', [delta(`${round * 50 + index} ${big}`)])
            expect(await log.head('t')).toBeGreaterThanOrEqual(batch.last)
            heads.push(await log.head('t'))
          }),
        )
      }
      expect(heads).toEqual(heads.toSorted((a, b) => a - b))
      expect((await reading).flatMap(({ frames }) => seqsOf(frames))).toEqual(span(1, 200))
    })

    test('keeps the threads apart', async () => {
      await Promise.all(
        span(1, 50).flatMap((index) =>
          ['a', 'b', 'c'].map((id) => append(id, 'r', [delta(`${id}${index}`)])),
        ),
      )
      for (const id of ['a', 'b', 'c']) {
        const records = await readRecords(log, id)
        expect(seqsOf(records)).toEqual(span(1, 50))
        expect(records.map(({ event }) => event)).toEqual(span(1, 50).map((index) => delta(`${id}${index}`)))
      }
    })

    test('keeps run, time and every character of the events', async () => {
      const events: AguiEvent[] = [
        delta('\n\ndata: fake\n\nid: 7\n\n'),
        delta('\u0000 \u2028 \u{1f600} \ud83d ü'),
        { type: EventType.CUSTOM, name: 'x', value: { deep: [null, 1.5, '"'] } },
      ]
      await append('t', 'run-7', events)
      const records = await readRecords(log, 't')
      expect(records.map(({ event }) => event)).toEqual(events)
      expect(records.map(({ runId }) => runId)).toEqual(['run-7', 'run-7', 'run-7'])
      expect(Math.abs((records[0]?.at ?? 0) - Date.now())).toBeLessThan(10_000)
    })

    test('a record is readable only when it is committed', async () => {
      await append('t', 'r', [delta('first')])
      const appending = append('t', 'r', [delta('second')])
      expect(await log.head('t')).toBe(1)
      expect(seqsOf(await readRecords(log, 't'))).toEqual([1])
      let head = 0
      const reading = drainUntil('t', 1, 2).then(async () => {
        // What a reader was given, another process on the same store can read.
        head = await place.committedHead('t')
      })
      await Promise.all([appending, reading])
      expect(head).toBe(2)
    })

    test('what is flushed is readable', async () => {
      const batch = await append('t', 'r', deltas(3))
      await storage.flushed()
      expect([batch.first, batch.last, await log.head('t')]).toEqual([1, 3, 3])
    })

    test('a batch knows whether its run ends with it', async () => {
      const ids = { threadId: 't', runId: 'r' }
      const open = await append('t', 'r', [delta('x')])
      const done = await append('t', 'r', [delta('y'), { type: EventType.RUN_FINISHED, ...ids }])
      const failed = await append('t', 'r', [{ type: EventType.RUN_ERROR, message: 'no' }])
      expect([open.terminal, done.terminal, failed.terminal]).toEqual([false, true, true])
    })

    async function drainUntil(threadId: string, from: number, upTo: number): Promise<void> {
      await readBatches(log, threadId, { after: from, upTo })
    }
  })

  describe('reading', () => {
    test('replays from any place, also out of the middle of a batch', async () => {
      for (const size of [1, 5, 2, 7, 1]) await append('t', 'r', deltas(size, `of ${size}`))
      const all = await readRecords(log, 't')
      for (const from of span(0, 15)) {
        const batches = await readBatches(log, 't', { after: from })
        expect(batches.flatMap((batch) => batch.records())).toEqual(all.slice(from))
        expect(Buffer.concat(batches.map(({ sse }) => sse)).toString()).toBe(
          all
            .slice(from)
            .map(({ seq, event }) => `id: ${seq}\ndata: ${JSON.stringify(event)}\n\n`)
            .join(''),
        )
      }
    })

    test('replays from any place out of the store as out of memory', async () => {
      for (const size of [3, 1, 4]) await append('t', 'r', deltas(size))
      const fromMemory = hashOf(await readBatches(log, 't', { after: 2 }))
      await reopen()
      expect(await log.head('t')).toBe(8)
      for (const from of span(0, 7)) {
        expect(seqsOf(await readRecords(log, 't', { after: from }))).toEqual(span(from + 1, 8))
      }
      expect(hashOf(await readBatches(log, 't', { after: 2 }))).toBe(fromMemory)
    })

    test('follows what comes, and waits for a thread that has no record yet', async () => {
      const reading = readBatches(log, 'later', { upTo: 300 })
      for (const index of span(1, 300)) await append('later', 'r', [delta(String(index))])
      expect((await reading).flatMap(({ frames }) => seqsOf(frames))).toEqual(span(1, 300))
    })

    test('readers of different pace get identical bytes', async () => {
      const total = 3000
      const paces = [
        undefined,
        turn,
        async () => {
          for (let turns = 0; turns < 25; turns++) await turn()
        },
      ]
      const readers = paces.map((pace) => readBatches(log, 't', { upTo: total, ...(pace && { pace }) }))
      for (const index of span(1, total / 3)) {
        await append('t', 'r', deltas(3, `${index} ${'x'.repeat(1500)}`))
      }
      readers.push(readBatches(log, 't', { upTo: total }))
      const hashes = (await Promise.all(readers)).map(hashOf)
      expect(new Set(hashes).size).toBe(1)
    })

    test('readers that keep up share one encoding of a batch', async () => {
      const readers = [1, 2].map(() => readBatches(log, 't', { upTo: 4 }))
      await append('t', 'r', deltas(4))
      const [one, two] = await Promise.all(readers)
      expect(one?.[0]?.sse).toBe(two?.[0]?.sse)
    })

    test('one step of a replay is bounded, however much there is', async () => {
      const big = 'x'.repeat(10_000)
      for (let index = 0; index < 600; index++) await append('t', 'r', [delta(big)])
      const steps: number[] = []
      for await (const batches of log.read('t', 0, new AbortController().signal)) {
        steps.push(batches.reduce((sum, { sse }) => sum + sse.length, 0))
        if ((batches.at(-1)?.last ?? 0) >= 600) break
      }
      expect(Math.max(...steps)).toBeLessThan(1_100_000)
      expect(steps.reduce((a, b) => a + b)).toBeGreaterThan(6_000_000)
    })

    test('a reader that stopped keeps nobody waiting and gets everything when it goes on', async () => {
      const stopped = log.read('t', 0, new AbortController().signal)[Symbol.asyncIterator]()
      await append('t', 'r', [delta('first')])
      const { value } = await stopped.next()
      const seqs = (value ?? []).flatMap(({ frames }: Batch) => seqsOf(frames))
      const text = 'x'.repeat(1000)
      const others = readBatches(log, 't', { upTo: 4001 })
      for (let index = 0; index < 400; index++) await append('t', 'r', deltas(10, text))
      expect((await others).flatMap(({ frames }) => seqsOf(frames))).toEqual(span(1, 4001))
      while (seqs.length < 4001) {
        const step: IteratorResult<readonly Batch[]> = await stopped.next()
        for (const batch of step.value ?? []) seqs.push(...seqsOf(batch.frames))
      }
      expect(seqs).toEqual(span(1, 4001))
    })

    test('a batch larger than what is kept in memory is read like any other', async () => {
      await append('t', 'r', [delta('before')])
      await append('t', 'r', [delta('x'.repeat(3 * 1024 * 1024)), delta('same batch')])
      await append('t', 'r', [delta('after')])
      for (const from of span(0, 3)) {
        expect(seqsOf(await readRecords(log, 't', { after: from }))).toEqual(span(from + 1, 4))
      }
      const [big] = await readRecords(log, 't', { after: 1 })
      expect(Object(big?.event).delta).toHaveLength(3 * 1024 * 1024)
    })

    test('an abort ends an idle reader at once', async () => {
      await append('t', 'r', [delta('x')])
      const stop = new AbortController()
      const idle = drain('t', 1, stop.signal)
      expect(await settles(idle)).toBe(false)
      stop.abort()
      expect(await settles(idle)).toBe(true)
      expect(await idle).toEqual([])
    })

    test('a reader that was aborted before it began ends at once', async () => {
      await append('t', 'r', [delta('x')])
      expect(await drain('t', 0, AbortSignal.abort())).toEqual([])
      expect(await drain('unknown', 0, AbortSignal.abort())).toEqual([])
    })

    test('the lag of each open reader is known, and of none that has left between two steps', async () => {
      await append('t', 'r', deltas(5))
      const stop = new AbortController()
      const reader = log.read('t', 2, stop.signal)[Symbol.asyncIterator]()
      await reader.next()
      expect(await log.lags()).toEqual([3])
      stop.abort()
      expect(await log.lags()).toEqual([])
    })

    test('what is stored has a size', async () => {
      const before = await log.usedBytes()
      await append('t', 'r', [delta('x'.repeat(100_000))])
      await storage.flushed()
      expect(await log.usedBytes()).toBeGreaterThanOrEqual(before + 100_000)
    })

    test('a place that this log has never reached is refused, for what it once held is gone', async () => {
      await append('t', 'r', deltas(3))
      await log.checkReplay('t', 3)
      await expect(log.checkReplay('t', 4)).rejects.toMatchObject({
        code: 'replay_expired',
        details: { oldestSeq: 1 },
      })
      await expect(drain('t', 9)).rejects.toMatchObject({ code: 'replay_expired' })
    })
  })

  describe('dropping a thread', () => {
    test('ends its readers, forgets its records, and the id begins at 1 again', async () => {
      await append('t', 'r', deltas(5))
      await append('other', 'r', deltas(2))
      const idle = drain('t', 5)
      await storage.drop('t')
      expect(await idle).toEqual([])
      expect(await log.head('t')).toBe(0)
      await append('t', 'r', [delta('new')])
      expect((await readRecords(log, 't')).map(({ seq, event }) => [seq, event])).toEqual([[1, delta('new')]])
      expect(seqsOf(await readRecords(log, 'other'))).toEqual([1, 2])
    })

    test('forgets what was being written, and on disk as well', async () => {
      await append('t', 'r', deltas(5))
      const writing = append('t', 'r', deltas(3))
      await Promise.all([storage.drop('t'), writing])
      expect(await log.head('t')).toBe(0)
      await reopen()
      expect(await log.head('t')).toBe(0)
    })

    test('a second one also takes what waited for the first', async () => {
      for (const turns of [0, 1, 2, 3]) {
        const work: Promise<unknown>[] = [append('other', 'r', deltas(1))]
        work.push(storage.drop('t'), append('t', 'r', deltas(1)), append('other', 'r', deltas(1)))
        for (let count = 0; count < turns; count++) await turn()
        work.push(storage.drop('t'))
        await Promise.all(work)
        expect(await log.head('t')).toBe(0)
      }
    })

    test('what is written right after it is a new thread, whole', async () => {
      await append('t', 'r', deltas(5))
      const dropping = storage.drop('t')
      const [one, two] = await Promise.all([
        append('t', 'r', [delta('new')]),
        append('t', 'r', [delta('newer')]),
        dropping,
      ])
      expect([one?.first, two?.first]).toEqual([1, 2])
      await reopen()
      expect((await readRecords(log, 't')).map(({ event }) => event)).toEqual([delta('new'), delta('newer')])
    })

    test('a reader that waited for the dropped thread does not disturb the new one', async () => {
      const stop = new AbortController()
      const waiting = drain('t', 0, stop.signal)
      await turn()
      const dropping = storage.drop('t')
      const appending = append('t', 'r', [delta('one')])
      stop.abort()
      await Promise.all([waiting, dropping, appending])
      const second = await append('t', 'r', [delta('two')])
      expect(second.first).toBe(2)
      expect(seqsOf(await readRecords(log, 't'))).toEqual([1, 2])
    })
  })

  describe('closing', () => {
    test('readers get all that was written before they end', async () => {
      const big = 'x'.repeat(5000)
      for (let index = 0; index < 500; index++) await append('t', 'r', [delta(big)])
      const slow = (async () => {
        const seqs: number[] = []
        for await (const batches of log.read('t', 0, new AbortController().signal)) {
          for (const batch of batches) seqs.push(...seqsOf(batch.frames))
          await turn()
        }
        return seqs
      })()
      const idle = drain('t', 500)
      const last = append('t', 'r', [delta('last words')])
      await Promise.all([log.close(), last])
      expect(await slow).toEqual(span(1, 501))
      expect((await idle).flatMap(({ frames }) => seqsOf(frames))).toEqual([501])
    })

    test('is idempotent, ends readers of threads that never were, and refuses what comes later', async () => {
      const waiting = drain('never')
      await turn()
      await Promise.all([log.close(), log.close()])
      expect(await waiting).toEqual([])
      await expect(append('t', 'r', [delta('late')])).rejects.toMatchObject({ code: 'shutting_down' })
    })
  })

  describe('a closed storage', () => {
    const key = ['t', 'm'] as const
    test.each<[string, (closed: Storage) => Promise<unknown>]>([
      ['commit', (closed) => closed.commit({ threadId: 't', append: { runId: 'r', events: deltas(1) } })],
      [
        'commit of tables',
        (closed) => closed.commit({ threadId: 't', writes: [{ table: 'runs', key, value: 1 }] }),
      ],
      [
        'commit of the workspace',
        (closed) => closed.commit({ threadId: 'w', writes: [{ table: 'workspace', key: ['w'], value: 1 }] }),
      ],
      ['flushed', (closed) => closed.flushed()],
      ['checkRoom', (closed) => closed.checkRoom()],
      ['drop', (closed) => closed.drop('t')],
      ['blobs.get', ({ blobs }) => blobs.get('t', '1-a')],
      ['get', ({ tables }) => tables.runs.get(key)],
      ['getAll', ({ tables }) => tables.messages.getAll([key])],
      ['has', ({ tables }) => tables.runs.has(key)],
      ['entries of a name', ({ tables }) => tables.queue.entries('t')],
      ['entries', ({ tables }) => tables.threads.entries()],
      ['log.head', (closed) => closed.log.head('t')],
      ['log.checkReplay', (closed) => closed.log.checkReplay('t', 0)],
      ['log.read', () => drain('t')],
      ['log.lags', (closed) => closed.log.lags()],
      ['log.usedBytes', (closed) => closed.log.usedBytes()],
    ])('refuses %s', async (_verb, ask) => {
      await append('t', 'r', deltas(3))
      await storage.close()
      await expect(ask(storage)).rejects.toMatchObject({ code: 'shutting_down' })
      await Promise.all([storage.close(), log.close()])
    })

    test('has made what was asked for before', async () => {
      const writes: Write[] = [{ table: 'runs', key, value: true }]
      await Promise.all([
        storage.commit({ threadId: 't', writes }),
        append('t', 'r', deltas(1)),
        storage.close(),
      ])
      await reopen()
      expect([await storage.tables.runs.has(key), await log.head('t')]).toEqual([true, 1])
    })
  })

  test('on the same folder the seq goes on where it was', async () => {
    for (let life = 0; life < 3; life++) {
      await append('t', `life-${life}`, deltas(2, `${life}`))
      await append('t', `life-${life}`, [delta(`${life}`)])
      await reopen()
      expect(await log.head('t')).toBe(3 * (life + 1))
    }
    const records = await readRecords(log, 't')
    expect(seqsOf(records)).toEqual(span(1, 9))
    expect(records.map(({ runId }) => runId.at(-1)).join('')).toBe('000111222')
  })

  test.each([
    ['a NUL', 'a\u0000b'],
    ['only NULs', '\u0000'.repeat(256)],
    ['nothing', ''],
    ['emoji', '\u{1f600}'.repeat(128)],
    ['half a character', 'x\ud83d'],
    ['256 wide characters', '漢'.repeat(256)],
    ['colons', 'a:1:b'],
    ['slashes and dots', '../../etc/passwd'],
    ['line breaks', 'a\r\nb'],
    ['a number', '12'],
    ['a prototype member', '__proto__'],
  ])('a thread id of %s is an id like any other', async (_what, threadId) => {
    const neighbours = [`${threadId.slice(0, -1)}`, `${threadId.slice(0, 255)}!`, 'a'].filter(
      (id) => id !== threadId,
    )
    await append(threadId, 'r', deltas(3))
    for (const id of neighbours) await append(id, 'r', [delta(id)])
    await append(threadId, 'r', deltas(2))
    await reopen()
    expect(seqsOf(await readRecords(log, threadId))).toEqual(span(1, 5))
    await storage.drop(threadId)
    expect(await log.head(threadId)).toBe(0)
    for (const id of neighbours) expect(await log.head(id)).toBe(1)
  })

  test('asking about threads that never were costs nothing that stays', async () => {
    const stops = span(1, 50).map(() => new AbortController())
    const waiting = stops.map(({ signal }, index) => drain(`nobody-${index}`, 0, signal))
    await turn()
    for (const stop of stops) stop.abort()
    await Promise.all(waiting)
    expect(await log.head('nobody-1')).toBe(0)
    await append('nobody-1', 'r', [delta('x')])
    expect(await log.head('nobody-1')).toBe(1)
  })

  describe('a commit', () => {
    const blob = { id: '1-a', contentType: 'text/plain', bytes: Buffer.from('whole') }
    const write: Write = { table: 'runs', key: ['t', 'r'], value: true }

    test('stores its parts together', async () => {
      const reading = readRecords(log, 't', { upTo: 1 })
      const committing = storage.commit({
        threadId: 't',
        append: { runId: 'r', events: [delta('x')] },
        blobs: [blob],
        writes: [write, { table: 'queue', key: ['t', 2], value: Buffer.from('waits') }],
      })
      await reading
      // Who has read the record finds the rest.
      expect(await storage.blobs.get('t', '1-a')).toEqual({ contentType: 'text/plain', bytes: blob.bytes })
      expect(await storage.tables.runs.has(['t', 'r'])).toBe(true)
      expect(await storage.tables.queue.get(['t', 2])).toEqual(Buffer.from('waits'))
      expect((await committing).last).toBe(1)
    })

    test('without events changes tables only, and the later of two wins', async () => {
      const put = (value: unknown): Promise<unknown> =>
        storage.commit({ threadId: 't', writes: [{ table: 'threads', key: ['t'], value }] })
      await Promise.all([put({ one: 1 }), put({ two: [2] })])
      expect(await storage.tables.threads.get(['t'])).toEqual({ two: [2] })
      expect(await log.head('t')).toBe(0)
      await put(undefined)
      expect(await storage.tables.threads.has(['t'])).toBe(false)
    })

    test('that is refused leaves nothing', async () => {
      await log.close()
      const commit = {
        threadId: 't',
        append: { runId: 'r', events: [delta('x')] },
        blobs: [blob],
        writes: [write],
      }
      await expect(storage.commit(commit)).rejects.toMatchObject({ code: 'shutting_down' })
      expect(await storage.tables.runs.has(['t', 'r'])).toBe(false)
      expect(await storage.blobs.get('t', '1-a')).toBeUndefined()
    })

    test('is there after a restart', async () => {
      await storage.commit({
        threadId: 't',
        append: { runId: 'r', events: [delta('x')] },
        blobs: [blob],
        writes: [write],
      })
      await storage.flushed()
      await reopen()
      expect(await log.head('t')).toBe(1)
      expect(await storage.blobs.get('t', '1-a')).toMatchObject({ bytes: blob.bytes })
      expect(await storage.tables.runs.get(['t', 'r'])).toBe(true)
    })
  })

  describe('tables', () => {
    test('give many values at once, in the order of the keys', async () => {
      const writes = ['b', 'a'].map(
        (id) => ({ table: 'messages', key: ['t', id], value: `digest ${id}` }) as const,
      )
      await storage.commit({ threadId: 't', writes })
      const keys = ['a', 'none', 'b', 'a'].map((id) => ['t', id] as const)
      expect(await storage.tables.messages.getAll(keys)).toEqual([
        'digest a',
        undefined,
        'digest b',
        'digest a',
      ])
    })

    test('list the members of one name in their order, and the names of a table without members', async () => {
      const put = (threadId: string, place: number): Promise<unknown> => {
        const value = Buffer.from(`${place}`)
        return storage.commit({ threadId, writes: [{ table: 'queue', key: [threadId, place], value }] })
      }
      for (const place of [10, 9, 2]) await put('t', place)
      await put('t2', 1)
      const { queue, threads, workspace } = storage.tables
      expect((await queue.entries('t')).map(({ key, value }) => [key, value?.toString()])).toEqual(
        [2, 9, 10].map((place) => [['t', place], `${place}`]),
      )
      for (const id of ['a\u0000b', '', 'x\ud83d'])
        await storage.commit({ threadId: id, writes: [{ table: 'threads', key: [id], value: id.length }] })
      const named = (await threads.entries()).map(({ key }) => key[0])
      expect(new Set(named)).toEqual(new Set(['a\u0000b', '', 'x\ud83d']))
      const key = ['workflow'] as const
      await storage.commit({ threadId: 'workspace', writes: [{ table: 'workspace', key, value: 1 }] })
      expect(await workspace.entries()).toEqual([{ key, value: 1 }])
    })

    test('give what is whole beside what is damaged, and name that', async () => {
      for (const id of ['a', 'b'])
        await storage.commit({ threadId: id, writes: [{ table: 'threads', key: [id], value: { id } }] })
      await storage.flushed()
      await place.damageFacts('a')
      const entries = await storage.tables.threads.entries()
      expect(new Map(entries.map(({ key: [id], value }) => [id, value]))).toEqual(
        new Map([
          ['a', undefined],
          ['b', { id: 'b' }],
        ]),
      )
      await expect(storage.tables.threads.get(['a'])).rejects.toMatchObject({ code: 'storage_damaged' })
    })

    test("and blobs of a thread go with it, and nobody else's", async () => {
      for (const threadId of ['t', 't2']) {
        await storage.commit({
          threadId,
          append: { runId: 'r', events: [delta('x')] },
          blobs: [{ id: '1-a', contentType: 'text/plain', bytes: Buffer.from('whole') }],
          writes: [
            { table: 'threads', key: [threadId], value: {} },
            { table: 'runs', key: [threadId, 'r'], value: true },
            { table: 'messages', key: [threadId, 'm'], value: 'digest' },
            { table: 'queue', key: [threadId, 1], value: Buffer.from('waits') },
          ],
        })
      }
      await storage.drop('t')
      await reopen()
      const { threads, runs, messages, queue } = storage.tables
      const left = async (id: string): Promise<unknown[]> => [
        await log.head(id),
        (await storage.blobs.get(id, '1-a')) !== undefined,
        await threads.has([id]),
        await runs.has([id, 'r']),
        await messages.has([id, 'm']),
        (await queue.entries(id)).length,
      ]
      expect(await left('t')).toEqual([0, false, false, false, false, 0])
      expect(await left('t2')).toEqual([1, true, true, true, true, 1])
    })
  })
}
