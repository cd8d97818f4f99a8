import { randomUUID } from 'node:crypto'

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
