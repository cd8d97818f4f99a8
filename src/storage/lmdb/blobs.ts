import { randomUUID } from 'node:crypto'
import { z } from 'zod'
import { keyText, type Store } from './store.ts'
import type { Codec, StoreTable } from './table.ts'

export interface Blob {
  contentType: string
  bytes: Buffer
}

const Header = z.object({ contentType: z.string() })
const NEWLINE = 0x0a

export interface BlobsOptions {
  store: Store
  /** Above this many bytes a thread's oldest go first. */
  retentionBytes: number
}

const BLOBS = 'blobs'

const CODEC: Codec<Blob> = {
  encode: ({ contentType, bytes }) => [Buffer.from(`${JSON.stringify({ contentType })}\n`), bytes],
  decode(stored) {
    const end = stored.indexOf(NEWLINE)
    return { ...Header.parse(JSON.parse(stored.toString('utf8', 0, end))), bytes: stored.subarray(end + 1) }
  },
}

/** What was too large for an event, whole. Lives as long as its thread, and as retention allows. */
export class Blobs {
  readonly #blobs: StoreTable<Blob, [thread: string, id: string]>
  readonly #options: BlobsOptions

  constructor(options: BlobsOptions) {
    this.#options = options
    this.#blobs = options.store.table(BLOBS, CODEC)
  }

  /**
   * Written in the same commit as the event that names it. Returns the blob's id.
   *
   * @throws {RunnerError} `storage_full`.
   */
  add(threadId: string, blob: Blob): string {
    // Sorts by age.
    const id = `${Date.now().toString(36)}-${randomUUID()}`
    const { length } = blob.bytes
    const { store, retentionBytes } = this.#options
    if (store.usedBytes(BLOBS) + length > retentionBytes) this.#removeOldest(threadId, length)
    this.#blobs.put([keyText(threadId), id], blob).catch(() => {
      // The event that names it is in the same commit, and its failure is told.
    })
    return id
  }

  /** @throws {RunnerError} `storage_damaged`. */
  get(threadId: string, id: string): Blob | undefined {
    return this.#blobs.get([keyText(threadId), id])
  }

  /** The thread that needs the room gives it. */
  #removeOldest(threadId: string, bytes: number): void {
    let left = bytes
    for (const { key, bytes: stored } of this.#blobs.getStored(range(threadId))) {
      if (left <= 0) return
      left -= stored
      this.#blobs.remove(key).catch(() => {
        // As above.
      })
    }
  }

  /** @throws {RunnerError} `storage_full`. */
  async drop(threadId: string): Promise<void> {
    await this.#blobs.removeAll(range(threadId))
  }
}

function range(threadId: string): { start: [string, string]; end: [string, string] } {
  return { start: [keyText(threadId), ''], end: [keyText(threadId), '\uffff'] }
}
