import assert from 'node:assert'
import type { AguiEvent } from '../../agui/event.ts'
import { RunnerError } from '../../errors.ts'
import { Batch } from '../batch.ts'
import type { EventLog } from '../event-log.ts'
import { closedStore } from '../gate.ts'
import { checkKept, damagedGap } from '../replay.ts'
import { SharedSteps } from '../shared-steps.ts'
import { Tails, ThreadTail, upTo } from '../tails.ts'
import { Waiters } from '../waiters.ts'
import { type BatchKey, Retention, range } from './retention.ts'
import { keyText, type Store } from './store.ts'
import { type ClaimedWrite, type Codec, type StoreTable, writeTogether } from './store-table.ts'

export interface LmdbEventLogOptions {
  store: Store
  /** Size on disk in bytes above which the oldest records are removed. */
  retentionBytes: number
  now?: () => number
}

export interface AppendOptions {
  /** As `Commit.isLast`. */
  isLast?: boolean
  /** Writes that are committed together with the batch. */
  others?: Iterable<() => ClaimedWrite>
}

/** Name of the log's table in the store. */
const BATCHES = 'batches'

const CODEC: Codec<Batch> = { encode: (batch) => [batch.encode()], decode: (stored) => Batch.decode(stored) }

interface Thread {
  /** Last assigned seq; runs ahead of `head` while a commit is in progress. */
  assigned: number
  head: number
  /** The first seq that retention has kept. */
  oldest: number
  dropped: boolean
  /** Batches that are handed to the store and not published yet, in order. */
  writing: Batch[]
  /** Set while the records of a dropped thread of the same id are being removed. */
  cleared: Promise<void> | undefined
  readonly tail: ThreadTail
  readonly waiting: Waiters
}

/** Approximate size of one replay step out of the store, in bytes. */
const READ_BYTES_MAX = 256 * 1024
/**
 * Seqs that are skipped when a thread's last batch is damaged, since its last seq is unknown then. So no seq that a
 * client has seen is assigned again.
 */
const SEQS_SKIPPED = 1_000_000

export class LmdbEventLog implements EventLog {
  readonly #store: Store
  readonly #batches: StoreTable<Batch, BatchKey>
  readonly #threads = new Map<string, Thread>()
  readonly #tails = new Tails()
  readonly #readers = new Set<{ thread: Thread; seq: number }>()
  readonly #steps = new SharedSteps()
  readonly #retention: Retention
  readonly #now: () => number
  #closed = false

  constructor(options: LmdbEventLogOptions) {
    this.#store = options.store
    this.#batches = options.store.table(BATCHES, CODEC)
    this.#retention = new Retention({
      batches: this.#batches,
      bytesMax: options.retentionBytes,
      usedBytes: () => this.#store.usedBytes(BATCHES),
      thread: (threadId) => this.#thread(threadId),
    })
    this.#now = options.now ?? Date.now
  }

  /** As `Storage.commit`. `storage_full` is thrown before this returns, unless a dropped thread is being removed. */
  append(
    threadId: string,
    runId: string,
    events: readonly AguiEvent[],
    options: AppendOptions,
  ): Promise<Batch> {
    if (this.#closed) return Promise.reject(closedStore())
    assert(events.length > 0, 'a batch without events has no seq')
    const thread = this.#thread(threadId)
    const batch = Batch.of(runId, events, { first: thread.assigned + 1, at: this.#now() })
    const written = this.#write(thread, [keyText(threadId), batch.first], batch, options)
    thread.assigned = batch.last
    return this.#afterWrite(batch, written)
  }

  async #afterWrite(batch: Batch, written: Promise<void>): Promise<Batch> {
    await written
    const retained = this.#retention.added(batch.sse.length)
    if (retained !== undefined) await retained
    return batch
  }

  async *read(threadId: string, after: number, signal: AbortSignal): AsyncGenerator<readonly Batch[]> {
    const thread = this.#thread(threadId)
    const reader = { thread, seq: after }
    this.#readers.add(reader)
    // A reader that is abandoned between two steps never reaches the `finally` block below.
    const leave = (): boolean => this.#readers.delete(reader)
    signal.addEventListener('abort', leave)
    const waiter = thread.waiting.join(signal)
    try {
      while (!signal.aborted && !thread.dropped) {
        this.#store.checkOpen()
        const { seq } = reader
        checkKept(this.#known(threadId), seq)
        if (seq >= thread.head) {
          // A closed log still yields its records and the pending ones, so that readers get the end of a run.
          if (this.#closed && thread.assigned === thread.head) return
          await waiter.next()
          continue
        }
        const batches = this.#take(threadId, thread, seq)
        yield batches
        reader.seq = batches.at(-1)?.last ?? seq
      }
    } finally {
      leave()
      signal.removeEventListener('abort', leave)
      waiter.leave()
      this.#forgetUnused(threadId, thread)
    }
  }

  async checkReplay(threadId: string, after: number): Promise<void> {
    this.#store.checkOpen()
    const thread = this.#known(threadId)
    checkKept(thread, after)
    if (after < thread.head) this.#take(threadId, thread, after)
  }

  async lags(): Promise<number[]> {
    this.#store.checkOpen()
    return [...this.#readers].map(({ thread, seq }) => Math.max(0, thread.head - seq))
  }

  async head(threadId: string): Promise<number> {
    this.#store.checkOpen()
    return this.#known(threadId).head
  }

  async usedBytes(): Promise<number> {
    return this.#store.usedBytes(BATCHES)
  }

  /** Removes the thread's records and ends its readers. */
  async drop(threadId: string): Promise<void> {
    const thread = this.#thread(threadId)
    thread.dropped = true
    this.#tails.forget(thread.tail)
    this.#steps.clear()
    // The id may be reused at once. New records are written after the old ones are removed.
    const next = emptyThread()
    next.cleared = this.#clear(threadId)
    this.#threads.set(threadId, next)
    thread.waiting.wake()
    await next.cleared
    next.cleared = undefined
    this.#forgetUnused(threadId, next)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const { waiting } of this.#threads.values()) waiting.wake()
    await this.#retention.settled
    await this.#store.flushed()
  }

  /** Writes without waiting when possible: `storage_full` is then thrown at once, not later. */
  #write(thread: Thread, key: BatchKey, batch: Batch, options: AppendOptions): Promise<void> {
    if (thread.cleared !== undefined) {
      thread.writing.push(batch)
      return this.#publishWhenWritten(thread, batch, this.#writeWhenCleared(thread, key, batch, options))
    }
    const written = this.#writeTogether(key, batch, options)
    thread.writing.push(batch)
    return this.#publishWhenWritten(thread, batch, written)
  }

  async #writeWhenCleared(
    thread: Thread,
    key: BatchKey,
    batch: Batch,
    options: AppendOptions,
  ): Promise<void> {
    await thread.cleared
    // The thread was dropped again meanwhile: the removal in progress may have passed this key already.
    if (thread.dropped) return
    if (!thread.writing.includes(batch))
      throw new RunnerError('storage_full', 'What goes before it is not written.')
    await this.#writeTogether(key, batch, options)
  }

  #writeTogether(
    key: BatchKey,
    batch: Batch,
    { isLast = false, others = [] }: AppendOptions,
  ): Promise<unknown> {
    return writeTogether([...others, () => this.#batches.claimPut(key, batch, { isLast })])
  }

  async #publishWhenWritten(thread: Thread, batch: Batch, written: Promise<unknown>): Promise<void> {
    try {
      await written
    } catch (error) {
      // Later batches are withdrawn as well: they would follow a gap.
      const at = thread.writing.indexOf(batch)
      if (at >= 0) thread.writing.splice(at)
      thread.assigned = thread.writing.at(-1)?.last ?? thread.head
      throw error
    }
    // lmdb commits in order, but with large values it resolves out of order.
    if (!thread.dropped) this.#publish(thread, thread.writing.splice(0, thread.writing.indexOf(batch) + 1))
  }

  #thread(threadId: string): Thread {
    const thread = this.#known(threadId)
    this.#threads.set(threadId, thread)
    return thread
  }

  /** Returns a thread's state. Does not remember it: clients may ask about threads that never existed. */
  #known(threadId: string): Thread {
    const known = this.#threads.get(threadId)
    if (known !== undefined) return known
    const [last] = this.#batches.getStored({
      start: [keyText(threadId), Infinity],
      end: [keyText(threadId), 0],
      reverse: true,
      limit: 1,
    })
    if (last === undefined) return emptyThread()
    const [oldest] = this.#batches.getKeys({ ...range(threadId, 0), limit: 1 })
    const head = last.value?.last ?? last.key[1] + SEQS_SKIPPED
    return { ...emptyThread(), assigned: head, head, oldest: oldest?.[1] ?? 1 }
  }

  async #clear(threadId: string): Promise<void> {
    await this.#batches.removeAll(range(threadId, 0))
  }

  /** Forgets a thread without a record, unless a reader waits for one. */
  #forgetUnused(threadId: string, thread: Thread): void {
    // While old records are being removed, a thread that is loaded again would go on at their seq.
    const isUsed = thread.assigned > 0 || thread.waiting.size > 0 || thread.cleared !== undefined
    if (!isUsed && this.#threads.get(threadId) === thread) this.#threads.delete(threadId)
  }

  #publish(thread: Thread, batches: readonly Batch[]): void {
    thread.head = batches.at(-1)?.last ?? thread.head
    this.#tails.add(thread.tail, batches)
    thread.waiting.wake()
  }

  /** Returns what follows `seq`, at least one batch: from the shared tail if possible, else from the store. */
  #take(threadId: string, thread: Thread, seq: number): readonly Batch[] {
    const youngest = thread.tail.batches.at(-1)
    if (youngest !== undefined && youngest.first === seq + 1) return [youngest]
    return this.#steps.take(threadId, seq, () => {
      const whole = this.#from(threadId, thread, seq)
      const batches = upTo(READ_BYTES_MAX, whole, (batch) => batch.after(seq))
      if (batches.length === 0) throw this.#gap(threadId, thread, seq)
      return batches
    })
  }

  /** Returns the error for damaged or missing records after `seq`. */
  #gap(threadId: string, { head }: Thread, seq: number): RunnerError {
    let oldestSeq = head + 1
    for (const { key, value } of this.#batches.getStored(range(threadId, seq + 1))) {
      if (value === undefined || key[1] > head) continue
      oldestSeq = key[1]
      break
    }
    return damagedGap(seq, oldestSeq)
  }

  /** Yields the batches from the one that holds the record after `seq`, up to the first damaged or missing one. */
  *#from(threadId: string, { tail, head }: Thread, seq: number): Generator<Batch> {
    const kept = tail.from(seq)
    if (kept !== undefined) return yield* kept
    const [holder] = this.#batches.getKeys({
      start: [keyText(threadId), seq + 1],
      end: [keyText(threadId), 0],
      reverse: true,
      limit: 1,
    })
    let next = seq + 1
    for (const { key, value } of this.#batches.getStored(range(threadId, holder?.[1] ?? next))) {
      const [, first] = key
      // This batch is written but not published yet; the end of its commit publishes it.
      if (first > head) return
      if (value === undefined || value.first !== first || first > next || value.last < next) return
      yield value
      next = value.last + 1
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
    tail: new ThreadTail(),
    waiting: new Waiters(),
  }
}
