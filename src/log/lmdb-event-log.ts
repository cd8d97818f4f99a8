import type { Database } from 'lmdb'
import type { AguiEvent } from '../agui/event.ts'
import { RunnerError } from '../errors.ts'
import { Batch } from './batch.ts'
import type { AppendOptions, EventLog } from './event-log.ts'
import type { Store } from './store.ts'

export interface LmdbEventLogOptions {
  store: Store
  /** Above this many bytes on disk the oldest records go first. */
  retentionBytes: number
  now?: () => number
}

type Key = [threadId: string, first: number]

interface Thread {
  /** Last seq given out; runs ahead of `head` while a commit is under way. */
  assigned: number
  head: number
  /** First seq that retention has left. */
  oldest: number
  dropped: boolean
  /** The youngest batches, so that readers who keep up share them without touching the store. */
  tail: Batch[]
  tailBytes: number
  waiting: Set<() => void>
}

/** Bytes of batches a thread keeps in memory for the readers that keep up. */
const TAIL_BYTES_MAX = 1024 * 1024
/** Bytes one step of a replay takes out of the store. */
const READ_BYTES_MAX = 256 * 1024
/** Retention is looked at again after this many appended bytes. */
const RETENTION_CHECK_BYTES = 4 * 1024 * 1024
/** Retention goes down to this share, so that it does not run at every append. */
const RETENTION_TARGET = 0.98

export class LmdbEventLog implements EventLog {
  readonly #store: Store
  readonly #batches: Database<Buffer, Key>
  readonly #threads = new Map<string, Thread>()
  readonly #retentionBytes: number
  readonly #now: () => number
  #uncheckedBytes = 0
  #retaining: Promise<void> | undefined
  #closed = false

  constructor(options: LmdbEventLogOptions) {
    this.#store = options.store
    this.#batches = options.store.bytes('batches')
    this.#retentionBytes = options.retentionBytes
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
    const thread = this.#thread(threadId)
    const batch = Batch.of(runId, events, { first: thread.assigned + 1, at: this.#now() })
    thread.assigned = batch.last
    const bytes = batch.encode()
    await this.#batches.put([threadId, batch.first], bytes)
    if (!thread.dropped) this.#publish(thread, batch)
    if (options.durable === true) await this.#store.flushed()
    this.#uncheckedBytes += bytes.length
    if (this.#uncheckedBytes >= RETENTION_CHECK_BYTES) {
      this.#retaining ??= this.#retain().finally(() => {
        this.#retaining = undefined
      })
      await this.#retaining
    }
    return batch
  }

  async *read(threadId: string, after: number, signal: AbortSignal): AsyncGenerator<readonly Batch[]> {
    const thread = this.#thread(threadId)
    let seq = after
    try {
      while (!signal.aborted && !thread.dropped) {
        if (seq >= thread.head) {
          // A closed log still gives what it holds: the last words of a run reach its readers.
          if (this.#closed) return
          await nextChange(thread, signal)
          continue
        }
        this.checkReplay(threadId, seq)
        const batches = this.#take(threadId, thread, seq)
        yield batches
        seq = batches.at(-1)?.last ?? seq
      }
    } finally {
      if (thread.assigned === 0 && thread.waiting.size === 0) this.#threads.delete(threadId)
    }
  }

  checkReplay(threadId: string, after: number): void {
    const { oldest } = this.#known(threadId)
    if (after + 1 >= oldest) return
    const message = `Records up to ${oldest - 1} of this thread are gone by retention; read after ${oldest - 1}, or connect anew.`
    throw new RunnerError('replay_expired', message, { details: { oldestSeq: oldest } })
  }

  head(threadId: string): number {
    return this.#known(threadId).head
  }

  async drop(threadId: string): Promise<void> {
    const thread = this.#thread(threadId)
    thread.dropped = true
    this.#threads.delete(threadId)
    wake(thread)
    const keys = [...this.#batches.getKeys(range(threadId, 0))]
    await Promise.all(keys.map((key) => this.#batches.remove(key)))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    for (const thread of this.#threads.values()) wake(thread)
    await this.#retaining
    await this.#store.flushed()
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
      start: [threadId, Infinity],
      end: [threadId, 0],
      reverse: true,
      limit: 1,
    })
    const [oldest] = this.#batches.getKeys({ ...range(threadId, 0), limit: 1 })
    const head = last === undefined ? 0 : Batch.decode(last.value).last
    return {
      assigned: head,
      head,
      oldest: oldest?.[1] ?? 1,
      dropped: false,
      tail: [],
      tailBytes: 0,
      waiting: new Set(),
    }
  }

  #publish(thread: Thread, batch: Batch): void {
    thread.head = batch.last
    thread.tail.push(batch)
    thread.tailBytes += batch.sse.length
    while (thread.tailBytes > TAIL_BYTES_MAX && thread.tail.length > 1) {
      thread.tailBytes -= thread.tail.shift()?.sse.length ?? 0
    }
    wake(thread)
  }

  /** What follows `seq`, at least one batch: from the shared tail when the reader keeps up, else from the store. */
  #take(threadId: string, thread: Thread, seq: number): readonly Batch[] {
    const [eldest] = thread.tail
    if (eldest !== undefined && eldest.first <= seq + 1) {
      const from = thread.tail.findLastIndex((batch) => batch.first <= seq + 1)
      return thread.tail.slice(from).map((batch) => batch.after(seq))
    }
    const [holder] = this.#batches.getKeys({
      start: [threadId, seq + 1],
      end: [threadId, 0],
      reverse: true,
      limit: 1,
    })
    const batches: Batch[] = []
    let bytes = 0
    for (const { value } of this.#batches.getRange(range(threadId, holder?.[1] ?? seq + 1))) {
      const batch = Batch.decode(value)
      // Written but not yet told: the commit's own answer publishes it.
      if (batch.first > thread.head) break
      batches.push(batch.after(seq))
      bytes += batch.sse.length
      if (bytes >= READ_BYTES_MAX) break
    }
    return batches
  }

  /** Removes the oldest batches, whichever thread they are of, until the store is below its share. */
  async #retain(): Promise<void> {
    this.#uncheckedBytes = 0
    let excess = this.#store.usedBytes() - this.#retentionBytes
    if (excess <= 0) return
    excess += this.#retentionBytes * (1 - RETENTION_TARGET)
    const cursors = this.#threadIds().map((threadId) => ({ threadId, batch: this.#after(threadId, 0) }))
    while (excess > 0) {
      const eldest = cursors.reduce((a, b) => ((b.batch?.at ?? Infinity) < (a.batch?.at ?? Infinity) ? b : a))
      if (eldest.batch === undefined) break
      excess -= eldest.batch.sse.length
      this.#thread(eldest.threadId).oldest = eldest.batch.last + 1
      // Awaited one by one: the event loop turns in between, and what is being appended goes on.
      await this.#batches.remove([eldest.threadId, eldest.batch.first])
      eldest.batch = this.#after(eldest.threadId, eldest.batch.last)
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
        last === undefined ? { limit: 1 } : { start: [last, Infinity], limit: 1 },
      )
      if (key === undefined) return ids
      ids.push(key[0])
    }
  }
}

function range(threadId: string, from: number): { start: Key; end: Key } {
  return { start: [threadId, from], end: [threadId, Infinity] }
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
