import { isCode } from '../../errors.ts'
import type { Batch } from '../batch.ts'
import { idOfKey, keyText } from './store.ts'
import type { StoredEntry, StoreTable } from './store-table.ts'

export type BatchKey = [thread: string, first: number]

export interface RetentionOptions {
  batches: StoreTable<Batch, BatchKey>
  bytesMax: number
  usedBytes(): number
  /** Returns the log's state of a thread: its last seq, and the first seq that is kept. */
  thread(threadId: string): { head: number; oldest: number }
}

/** Appended bytes after which retention is checked again, or this share of its limit if that is less. */
const RETENTION_CHECK_BYTES = 4 * 1024 * 1024
const RETENTION_CHECK_SHARE = 1 / 32
/** Batches that retention removes together; the event loop turns in between. */
const REMOVAL_STEP = 128

/** A batch that retention may remove. */
interface Removable {
  first: number
  last: number
  at: number
  bytes: number
}

/** Keeps the log below its limit. */
export class Retention {
  readonly #options: RetentionOptions
  readonly #checkBytes: number
  #uncheckedBytes = 0
  #running: Promise<void> | undefined

  constructor(options: RetentionOptions) {
    this.#options = options
    this.#checkBytes = Math.min(RETENTION_CHECK_BYTES, options.bytesMax * RETENTION_CHECK_SHARE)
  }

  /** Resolves when no removal is in progress. */
  get settled(): Promise<void> {
    return this.#running ?? Promise.resolve()
  }

  /** Counts appended bytes. Returns the removal in progress when enough have come, else undefined. */
  added(bytes: number): Promise<void> | undefined {
    this.#uncheckedBytes += bytes
    if (this.#uncheckedBytes < this.#checkBytes) return undefined
    this.#running ??= this.#run()
      .catch((error: unknown) => {
        // The next check tries again; the record that led here is written.
        if (!isCode(error, 'storage_full')) throw error
      })
      .finally(() => {
        this.#running = undefined
      })
    return this.#running
  }

  /** Removes the oldest batches of all threads until the store is below its limit. */
  async #run(): Promise<void> {
    this.#uncheckedBytes = 0
    // Leaves room for what is appended before the next check, and during it.
    const ceiling = this.#options.bytesMax - 2 * this.#checkBytes
    if (this.#options.usedBytes() <= ceiling) return
    const cursors = this.#threadIds().map((threadId) => ({ threadId, next: this.#removable(threadId, 0) }))
    // Removes one more check's worth of bytes, so that not every check has to remove something.
    for (;;) {
      let excess = this.#options.usedBytes() - (ceiling - this.#checkBytes)
      const removals: Promise<void>[] = []
      while (excess > 0 && removals.length < REMOVAL_STEP) {
        const eldest = cursors.reduce((a, b) => ((b.next?.at ?? Infinity) < (a.next?.at ?? Infinity) ? b : a))
        const { threadId, next } = eldest
        if (next === undefined) break
        excess -= next.bytes
        removals.push(this.#options.batches.remove([keyText(threadId), next.first]))
        this.#options.thread(threadId).oldest = next.last + 1
        eldest.next = this.#removable(threadId, next.last)
      }
      if (removals.length === 0) return
      // The event loop turns in between: readers and other appends go on.
      await Promise.all(removals)
    }
  }

  /** Returns a thread's next removable batch. Its last batch stays, since the thread goes on at that seq. */
  #removable(threadId: string, seq: number): Removable | undefined {
    const [entry] = this.#options.batches.getStored({ ...range(threadId, seq + 1), limit: 1 })
    if (entry === undefined || (entry.value?.last ?? 0) >= this.#options.thread(threadId).head)
      return undefined
    const [following] = this.#options.batches.getKeys({ ...range(threadId, entry.key[1] + 1), limit: 1 })
    if (following === undefined) return undefined
    return removableOf(entry)
  }

  #threadIds(): string[] {
    const ids: string[] = []
    for (;;) {
      const last = ids.at(-1)
      const [key] = this.#options.batches.getKeys(
        last === undefined ? { limit: 1 } : { start: [keyText(last), Infinity], limit: 1 },
      )
      if (key === undefined) return ids
      ids.push(idOfKey(key[0]))
    }
  }
}

/** A damaged batch counts as the oldest, since nobody can read it. */
function removableOf({ key, value, bytes }: StoredEntry<Batch, BatchKey>): Removable {
  const [, first] = key
  return { first, last: value?.last ?? first, at: value?.at ?? 0, bytes }
}

export function range(threadId: string, from: number): { start: BatchKey; end: BatchKey } {
  return { start: [keyText(threadId), from], end: [keyText(threadId), Infinity] }
}
