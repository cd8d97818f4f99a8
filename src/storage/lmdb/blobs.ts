import { randomUUID } from 'node:crypto'
import type { Database } from 'lmdb'
import { z } from 'zod'
import { keyText, type Store } from './store.ts'

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

/** What was too large for an event, whole. Lives as long as its thread, and as retention allows. */
export class Blobs {
  readonly #blobs: Database<Buffer, [thread: string, id: string]>

  readonly #options: BlobsOptions

  constructor(options: BlobsOptions) {
    this.#options = options
    this.#blobs = options.store.bytes(BLOBS)
  }

  /** Written in the same commit as the event that names it. Returns the blob's id. */
  add(threadId: string, { contentType, bytes }: Blob): string {
    // Sorts by age.
    const id = `${Date.now().toString(36)}-${randomUUID()}`
    const header = Buffer.from(`${JSON.stringify({ contentType })}\n`)
    const { store, retentionBytes } = this.#options
    if (store.usedBytes(BLOBS) + bytes.length > retentionBytes) this.#removeOldest(threadId, bytes.length)
    this.#blobs.put([keyText(threadId), id], Buffer.concat([header, bytes])).catch(() => {
      // The event that names it is in the same commit, and its failure is told.
    })
    return id
  }

  get(threadId: string, id: string): Blob | undefined {
    const stored = this.#blobs.get([keyText(threadId), id])
    if (stored === undefined) return undefined
    const end = stored.indexOf(NEWLINE)
    return { ...Header.parse(JSON.parse(stored.toString('utf8', 0, end))), bytes: stored.subarray(end + 1) }
  }

  /** The thread that needs the room gives it. */
  #removeOldest(threadId: string, bytes: number): void {
    let left = bytes
    const thread = keyText(threadId)
    for (const { key, value } of this.#blobs.getRange({ start: [thread, ''], end: [thread, '\uffff'] })) {
      if (left <= 0) return
      left -= value.length
      this.#blobs.remove(key).catch(() => {
        // As above.
      })
    }
  }

  async drop(threadId: string): Promise<void> {
    const keys = [
      ...this.#blobs.getKeys({ start: [keyText(threadId), ''], end: [keyText(threadId), '\uffff'] }),
    ]
    await Promise.all(keys.map((key) => this.#blobs.remove(key)))
  }
}
