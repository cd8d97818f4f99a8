import { randomUUID } from 'node:crypto'
import { z } from 'zod'

/** A complete value that was too large for an event. Kept until its thread is deleted or retention removes it. */
export interface Blob {
  contentType: string
  bytes: Buffer
}

export interface Blobs {
  /** Returns undefined for an unknown blob and for a removed one. @throws {RunnerError} `storage_damaged`. */
  get(threadId: string, id: string): Promise<Blob | undefined>
}

/** Returns a new id. Ids sort by age, since retention removes a thread's oldest blobs first. */
export function newBlobId(): string {
  return `${Date.now().toString(36)}-${randomUUID()}`
}

/** Schema of a stored blob's header. A stored blob is the header as one line of JSON, followed by the bytes. */
const Header = z.object({ contentType: z.string() })
const NEWLINE = 0x0a

/** Encodes a blob in two parts, so that the large part is copied only once. */
export function encodeBlob({ contentType, bytes }: Blob): readonly [header: Buffer, bytes: Buffer] {
  return [Buffer.from(`${JSON.stringify({ contentType })}\n`), bytes]
}

/** Decodes a stored blob. @throws when the bytes are not one: the store is damaged. */
export function decodeBlob(stored: Buffer): Blob {
  const end = stored.indexOf(NEWLINE)
  return { ...Header.parse(JSON.parse(stored.toString('utf8', 0, end))), bytes: stored.subarray(end + 1) }
}
