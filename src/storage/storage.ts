import type { AguiEvent } from '../agui/event.ts'
import type { Batch } from './batch.ts'
import type { Blob, Blobs } from './blob.ts'
import type { EventLog } from './event-log.ts'
import type { Tables, Write } from './table.ts'
import type { Tenancy } from './tenancy.ts'
import type { Transcripts } from './transcripts.ts'

/** What is committed together: all of it is stored, or nothing. */
export interface Commit {
  /** The one thread that all of it belongs to; any name for the table `workspace`. */
  threadId: string
  /** Events for the thread's log, at least one; they become one batch. */
  append?: { runId: string; events: readonly AguiEvent[] }
  /** What the events name because it was too large for them. */
  blobs?: readonly (Blob & { id: string })[]
  writes?: readonly Write[]
  /** Belongs to the end of a run: may use the room that is kept for it when the disk is full. Blobs may not. */
  isLast?: boolean
}

/**
 * All that a runner keeps: logs, blobs, and small tables. Every verb is a promise, so that a store on another machine can
 * stand in for the embedded one. A closed storage refuses every verb but `close`, with `shutting_down`.
 * `test/storage/contract.ts` is what each backend has to pass.
 */
export interface Storage {
  readonly log: EventLog
  readonly blobs: Blobs
  readonly tables: Tables
  readonly tenancy: Tenancy
  /** Undefined of a store that no other machine can reach: what the agent keeps beside it is not elsewhere either. */
  readonly transcripts?: Transcripts
  /**
   * Resolves when all of it is committed, with the batch that was appended. Commits of one thread are made in the order of
   * the calls; readers of the log see a batch only when it is committed.
   *
   * @throws {RunnerError} `storage_full`: nothing of it was written, and nothing will be; `shutting_down` for an append to
   * a closed log; `internal` when the store cannot be written.
   */
  commit(commit: Commit & Required<Pick<Commit, 'append'>>): Promise<Batch>
  commit(commit: Commit): Promise<Batch | undefined>
  /** Resolves when all that was committed is on disk: it then survives a power cut. */
  flushed(): Promise<void>
  /**
   * Asked before a run is taken in.
   *
   * @throws {RunnerError} `storage_full` when it would not find room.
   */
  checkRoom(): Promise<void>
  /**
   * Forgets all of a thread and ends its readers; resolves when that is on disk. Its entry in the table of threads goes
   * last, so that a deletion that was cut off is found.
   *
   * @throws {RunnerError} `storage_full`; then call again.
   */
  drop(threadId: string): Promise<void>
  /** Closes the log first. Idempotent. */
  close(): Promise<void>
}
