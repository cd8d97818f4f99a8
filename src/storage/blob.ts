import { randomUUID } from 'node:crypto'
import { z } from 'zod'

/** What was too large for an event, whole. Lives as long as its thread, and as retention allows. */
export interface Blob {
  contentType: string
  bytes: Buffer
}

export interface Blobs {
  /** Undefined for one that never was, or that retention has removed. @throws {RunnerError} `storage_damaged`. */
  get(threadId: string, id: string): Promise<Blob | undefined>
}

/** Ids sort by age: retention removes a thread's oldest first. */
export function newBlobId(): string {
  return `${Date.now().toString(36)}-${randomUUID()}`
}

/** A stored blob is its header, one line of JSON, and then its bytes; door of the stored data. */
const Header = z.object({ contentType: z.string() })
const NEWLINE = 0x0a

/** In two parts, so that the large one is copied once. */
export function encodeBlob({ contentType, bytes }: Blob): readonly [header: Buffer, bytes: Buffer] {
  return [Buffer.from(`${JSON.stringify({ contentType })}\n`), bytes]
}

/** @throws when the bytes are not a stored blob: the store is damaged. */
export function decodeBlob(stored: Buffer): Blob {
  const end = stored.indexOf(NEWLINE)
  return { ...Header.parse(JSON.parse(stored.toString('utf8', 0, end))), bytes: stored.subarray(end + 1) }
}
