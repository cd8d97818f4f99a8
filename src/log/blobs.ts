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

/** What was too large for an event, whole. Lives as long as its thread. */
export class Blobs {
  readonly #blobs: Database<Buffer, [thread: string, id: string]>

  constructor(store: Store) {
    this.#blobs = store.bytes('blobs')
  }

  /** Written in the same commit as the event that names it. Returns the blob's id. */
  add(threadId: string, { contentType, bytes }: Blob): string {
    const id = randomUUID()
    const header = Buffer.from(`${JSON.stringify({ contentType })}\n`)
    void this.#blobs.put([keyText(threadId), id], Buffer.concat([header, bytes]))
    return id
  }

  get(threadId: string, id: string): Blob | undefined {
    const stored = this.#blobs.get([keyText(threadId), id])
    if (stored === undefined) return undefined
    const end = stored.indexOf(NEWLINE)
    return { ...Header.parse(JSON.parse(stored.toString('utf8', 0, end))), bytes: stored.subarray(end + 1) }
  }

  async drop(threadId: string): Promise<void> {
    const keys = [
      ...this.#blobs.getKeys({ start: [keyText(threadId), ''], end: [keyText(threadId), '\uffff'] }),
    ]
    await Promise.all(keys.map((key) => this.#blobs.remove(key)))
  }
}
