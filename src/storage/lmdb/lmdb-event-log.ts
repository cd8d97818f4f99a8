import assert from 'node:assert'
import type { Database } from 'lmdb'
import type { AguiEvent } from '../../agui/event.ts'
import { logAppended } from '../../channels.ts'
import { RunnerError } from '../../errors.ts'
import { Batch } from '../batch.ts'
import type { AppendOptions, EventLog } from '../event-log.ts'
import { SharedSteps } from '../shared-steps.ts'
import { idOfKey, keyText, type Store } from './store.ts'

export interface LmdbEventLogOptions {
  store: Store
  /** Above this many bytes on disk the oldest records go first. */
  retentionBytes: number
  now?: () => number
}

/** The log's database in the store. */
export const BATCHES = 'batches'

type Key = [thread: string, first: number]

interface Thread {
  /** Last seq given out; runs ahead of `head` while a commit is under way. */
  assigned: number
  head: number
  /** First seq that retention has left. */
  oldest: number
  dropped: boolean
  /** Given to the store and not published yet, in order. */
  writing: Batch[]
  /** While the records of a dropped thread of the same id are being removed. */
  cleared: Promise<void> | undefined
  /** The youngest batches, so that readers who keep up share them without touching the store. */
  tail: Batch[]
  tailBytes: number
  waiting: Set<() => void>
}

/** Bytes of batches a thread keeps in memory for the readers that keep up. */
const TAIL_BYTES_MAX = 1024 * 1024
/** The same for all threads together; the thread that was quiet longest gives its share up. */
const TAILS_BYTES_MAX = 16 * 1024 * 1024
/** Bytes one step of a replay takes out of the store. */
const READ_BYTES_MAX = 256 * 1024
/** Retention is looked at again after this many appended bytes, or this share of its limit if that is less. */
const RETENTION_CHECK_BYTES = 4 * 1024 * 1024
const RETENTION_CHECK_SHARE = 1 / 32
/** Batches that are removed together; the event loop turns in between. */
const REMOVAL_STEP = 256

export class LmdbEventLog implements EventLog {
  readonly #store: Store
  readonly #batches: Database<Buffer, Key>
  readonly #threads = new Map<string, Thread>()
  /** Threads that hold a tail, the one that was quiet longest first. */
  readonly #tails = new Set<Thread>()
  readonly #readers = new Set<{ thread: Thread; seq: number }>()
  readonly #steps = new SharedSteps()
  readonly #retentionBytes: number
  readonly #checkBytes: number
  readonly #now: () => number
  #tailsBytes = 0
  #uncheckedBytes = 0
  #retaining: Promise<void> | undefined
  #closed = false

  constructor(options: LmdbEventLogOptions) {
    this.#store = options.store
    this.#batches = options.store.bytes(BATCHES)
    this.#retentionBytes = options.retentionBytes
    this.#checkBytes = Math.min(RETENTION_CHECK_BYTES, options.retentionBytes * RETENTION_CHECK_SHARE)
    this.#now = options.now ?? Date.now
  }

  async append(
    threadId: string,
    runId: string,
    events: readonly AguiEvent[],
    options: AppendOptions = {},
  ): Promise<Batch> {
    if (this.#closed)
      throw new RunnerError('shutting_down', 'The event log is closed; the runner is stopping.')
    assert(events.length > 0, 'a batch without events has no seq')
    const thread = this.#thread(threadId)
    const batch = Batch.of(runId, events, { first: thread.assigned + 1, at: this.#now() })
    thread.assigned = batch.last
    const bytes = batch.encode()
    await this.#write(thread, [keyText(threadId), batch.first], { batch, bytes })
    logAppended.publish({ threadId, events: events.length, bytes: bytes.length })
    if (options.durable === true) await this.#store.flushed()
    this.#uncheckedBytes += bytes.length
    if (this.#uncheckedBytes >= this.#checkBytes) {
      this.#retaining ??= this.#retain().finally(() => {
        this.#retaining = undefined
      })
      await this.#retaining
    }
    return batch
  }

  async *read(threadId: string, after: number, signal: AbortSignal): AsyncGenerator<readonly Batch[]> {
    const thread = this.#thread(threadId)
    const reader = { thread, seq: after }
    this.#readers.add(reader)
    // One that is left alone between two steps never comes to its end below.
    const leave = (): boolean => this.#readers.delete(reader)
    signal.addEventListener('abort', leave)
    try {
      while (!signal.aborted && !thread.dropped) {
        const { seq } = reader
        this.checkReplay(threadId, seq)
        if (seq >= thread.head) {
          // A closed log still gives what it holds, and what was being written: a run's last words reach its readers.
          if (this.#closed && thread.assigned === thread.head) return
          await nextChange(thread, signal)
          continue
        }
        const batches = this.#take(threadId, thread, seq)
        assert(batches.length > 0, 'the store lacks records that were committed')
        yield batches
        reader.seq = batches.at(-1)?.last ?? seq
      }
    } finally {
      leave()
      signal.removeEventListener('abort', leave)
      this.#forgetUnused(threadId, thread)
    }
  }

  checkReplay(threadId: string, after: number): void {
    const { oldest, head } = this.#known(threadId)
    if (after + 1 < oldest) {
      const message = `Records up to ${oldest - 1} of this thread are gone by retention; read after ${oldest - 1}, or connect anew.`
      throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
    }
    if (after > head) {
      // The thread was deleted and made anew: what comes up to `after` would be missed in silence.
      const message = `This thread has ${head} records, so record ${after} was another thread's of this id; read after 0, or connect anew.`
      throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
    }
  }

  lags(): number[] {
    return [...this.#readers].map(({ thread, seq }) => Math.max(0, thread.head - seq))
  }

  head(threadId: string): number {
    return this.#known(threadId).head
  }

  async drop(threadId: string): Promise<void> {
    const thread = this.#thread(threadId)
    thread.dropped = true
    this.#forgetTail(thread)
    this.#steps.clear()
    // The id may be used anew at once; what comes then is written when the old records are gone.
    const next = emptyThread()
    next.cleared = this.#clear(threadId)
    this.#threads.set(threadId, next)
    wake(thread)
    await next.cleared
    next.cleared = undefined
    this.#forgetUnused(threadId, next)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const thread of this.#threads.values()) wake(thread)
    await this.#retaining
    await this.#store.flushed()
  }

  async #write(thread: Thread, key: Key, { batch, bytes }: { batch: Batch; bytes: Buffer }): Promise<void> {
    thread.writing.push(batch)
    try {
      if (thread.cleared !== undefined) await thread.cleared
      // Dropped again while it waited: the removal that goes on may have passed this key already.
      if (!thread.dropped) await this.#batches.put(key, bytes)
    } catch (error) {
      // What follows would stand behind a hole.
      thread.writing.splice(thread.writing.indexOf(batch))
      throw error
    }
    // lmdb commits in order, but with large values it tells so out of order.
    if (!thread.dropped) this.#publish(thread, thread.writing.splice(0, thread.writing.indexOf(batch) + 1))
  }

  #thread(threadId: string): Thread {
    const thread = this.#known(threadId)
    this.#threads.set(threadId, thread)
    return thread
  }

  /** Without remembering it: anyone may ask about threads that never were. */
  #known(threadId: string): Thread {
    const known = this.#threads.get(threadId)
    if (known !== undefined) return known
    const [last] = this.#batches.getRange({
      start: [keyText(threadId), Infinity],
      end: [keyText(threadId), 0],
      reverse: true,
      limit: 1,
    })
    if (last === undefined) return emptyThread()
    const [oldest] = this.#batches.getKeys({ ...range(threadId, 0), limit: 1 })
    const head = Batch.decode(last.value).last
    return { ...emptyThread(), assigned: head, head, oldest: oldest?.[1] ?? 1 }
  }

  async #clear(threadId: string): Promise<void> {
    await this.#batches.committed
    for (;;) {
      const keys = [...this.#batches.getKeys({ ...range(threadId, 0), limit: REMOVAL_STEP })]
      if (keys.length === 0) return
      await Promise.all(keys.map((key) => this.#batches.remove(key)))
    }
  }

  /** A thread without a record is remembered only while somebody waits for one. */
  #forgetUnused(threadId: string, thread: Thread): void {
    // While old records are being removed the store would give their seq to a thread that is loaded anew.
    const isUsed = thread.assigned > 0 || thread.waiting.size > 0 || thread.cleared !== undefined
    if (!isUsed && this.#threads.get(threadId) === thread) this.#threads.delete(threadId)
  }

  #publish(thread: Thread, batches: readonly Batch[]): void {
    for (const batch of batches) {
      thread.head = batch.last
      thread.tail.push(batch)
      this.#grow(thread, batch.sse.length)
    }
    while (thread.tailBytes > TAIL_BYTES_MAX && thread.tail.length > 1) {
      this.#grow(thread, -(thread.tail.shift()?.sse.length ?? 0))
    }
    // To the end of the set: now it is the last one to have been quiet.
    this.#tails.delete(thread)
    this.#tails.add(thread)
    for (const quiet of this.#tails) {
      if (this.#tailsBytes <= TAILS_BYTES_MAX || quiet === thread) break
      this.#forgetTail(quiet)
    }
    wake(thread)
  }

  #grow(thread: Thread, bytes: number): void {
    thread.tailBytes += bytes
    this.#tailsBytes += bytes
  }

  #forgetTail(thread: Thread): void {
    this.#grow(thread, -thread.tailBytes)
    thread.tail = []
    this.#tails.delete(thread)
  }

  /** What follows `seq`, at least one batch: from the shared tail when the reader keeps up, else from the store. */
  #take(threadId: string, thread: Thread, seq: number): readonly Batch[] {
    const youngest = thread.tail.at(-1)
    if (youngest !== undefined && youngest.first === seq + 1) return [youngest]
    return this.#steps.take(threadId, seq, () =>
      upTo(READ_BYTES_MAX, this.#from(threadId, thread, seq), (batch) => batch.after(seq)),
    )
  }

  /** From the one that holds what follows `seq`. */
  *#from(threadId: string, { tail, head }: Thread, seq: number): Generator<Batch> {
    const [eldest] = tail
    if (eldest !== undefined && eldest.first <= seq + 1) {
      return yield* tail.slice(tail.findLastIndex((batch) => batch.first <= seq + 1))
    }
    const [holder] = this.#batches.getKeys({
      start: [keyText(threadId), seq + 1],
      end: [keyText(threadId), 0],
      reverse: true,
      limit: 1,
    })
    for (const { value } of this.#batches.getRange(range(threadId, holder?.[1] ?? seq + 1))) {
      const batch = Batch.decode(value)
      // Written but not yet told: the commit's own answer publishes it.
      if (batch.first > head) return
      yield batch
    }
  }

  /** Removes the oldest batches, whichever thread they are of, until the store is below its limit. */
  async #retain(): Promise<void> {
    this.#uncheckedBytes = 0
    // What comes before the next look, and while it goes on, has room as well.
    const ceiling = this.#retentionBytes - 2 * this.#checkBytes
    if (this.#store.usedBytes(BATCHES) <= ceiling) return
    const cursors = this.#threadIds().map((threadId) => ({ threadId, batch: this.#after(threadId, 0) }))
    // Down by one more look, so that it does not run at every one.
    for (;;) {
      let excess = this.#store.usedBytes(BATCHES) - (ceiling - this.#checkBytes)
      const removals: Promise<boolean>[] = []
      while (excess > 0 && removals.length < REMOVAL_STEP) {
        const eldest = cursors.reduce((a, b) =>
          (b.batch?.at ?? Infinity) < (a.batch?.at ?? Infinity) ? b : a,
        )
        const { threadId, batch } = eldest
        if (batch === undefined) break
        excess -= batch.sse.length
        this.#thread(threadId).oldest = batch.last + 1
        removals.push(this.#batches.remove([keyText(threadId), batch.first]))
        eldest.batch = this.#after(threadId, batch.last)
      }
      if (removals.length === 0) return
      // The event loop turns in between: readers and other appends go on.
      await Promise.all(removals)
    }
  }

  /** The batch that may go next; a thread's last one stays, since its seq is where the thread goes on. */
  #after(threadId: string, seq: number): Batch | undefined {
    const [entry] = this.#batches.getRange({ ...range(threadId, seq + 1), limit: 1 })
    const batch = entry === undefined ? undefined : Batch.decode(entry.value)
    return batch === undefined || batch.last >= this.#thread(threadId).head ? undefined : batch
  }

  #threadIds(): string[] {
    const ids: string[] = []
    for (;;) {
      const last = ids.at(-1)
      const [key] = this.#batches.getKeys(
        last === undefined ? { limit: 1 } : { start: [keyText(last), Infinity], limit: 1 },
      )
      if (key === undefined) return ids
      ids.push(idOfKey(key[0]))
    }
  }
}

function emptyThread(): Thread {
  return {
    assigned: 0,
    head: 0,
    oldest: 1,
    dropped: false,
    writing: [],
    cleared: undefined,
    tail: [],
    tailBytes: 0,
    waiting: new Set(),
  }
}

/** The first batches that are `bytesMax` together, or one that is more. */
function upTo(bytesMax: number, batches: Iterable<Batch>, toPart: (batch: Batch) => Batch): readonly Batch[] {
  const taken: Batch[] = []
  let bytes = 0
  for (const batch of batches) {
    taken.push(toPart(batch))
    bytes += batch.sse.length
    if (bytes >= bytesMax) break
  }
  return taken
}

function range(threadId: string, from: number): { start: Key; end: Key } {
  return { start: [keyText(threadId), from], end: [keyText(threadId), Infinity] }
}

function wake(thread: Thread): void {
  for (const resolve of thread.waiting) resolve()
  thread.waiting.clear()
}

function nextChange(thread: Thread, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      signal.removeEventListener('abort', done)
      thread.waiting.delete(done)
      resolve()
    }
    thread.waiting.add(done)
    signal.addEventListener('abort', done, { once: true })
  })
}
