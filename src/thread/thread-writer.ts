import { logAppended } from '../channels.ts'
import { type Blob, newBlobId } from '../storage/blob.ts'
import type { Commit, Storage } from '../storage/storage.ts'

/** Writes the records of one thread. It is the thread's only writer, so it knows the end of the log without asking. */
export class ThreadWriter {
  readonly threadId: string
  readonly #storage: Storage
  #head: number
  #kept: (Blob & { id: string })[] = []

  constructor(storage: Storage, { threadId, head }: { threadId: string; head: number }) {
    this.threadId = threadId
    this.#storage = storage
    this.#head = head
  }

  /** The last committed seq; 0 when there is none. */
  get head(): number {
    return this.#head
  }

  /** Keeps content that is too large for an event; it is committed with the next events. Returns its id. */
  keep(blob: Blob): string {
    const id = newBlobId()
    this.#kept.push({ ...blob, id })
    return id
  }

  /** Drops the content that was kept for events which are never written. */
  forgetKept(): void {
    this.#kept = []
  }

  /** As `Storage.commit`. */
  async commit(commit: Omit<Commit, 'threadId' | 'blobs'>): Promise<void> {
    const { threadId } = this
    if (commit.append === undefined) {
      await this.#storage.commit({ threadId, ...commit })
      return
    }
    const blobs = this.#kept
    this.#kept = []
    const batch = await this.#storage.commit({ threadId, ...commit, append: commit.append, blobs })
    const { first, last, sse } = batch
    this.#head = Math.max(this.#head, last)
    logAppended.publish({ threadId, events: last - first + 1, bytes: sse.length })
  }

  /** As `Storage.flushed`. */
  flushed(): Promise<void> {
    return this.#storage.flushed()
  }

  /** As `Storage.checkRoom`. */
  checkRoom(): Promise<void> {
    return this.#storage.checkRoom()
  }
}
