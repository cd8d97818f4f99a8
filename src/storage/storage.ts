import type { AguiEvent } from '../agui/event.ts'
import type { Batch } from './batch.ts'
import type { Blob, Blobs } from './blob.ts'
import type { EventLog } from './event-log.ts'
import type { Tables, Write } from './table.ts'
import type { Tenancy } from './tenancy.ts'
import type { Transcripts } from './transcripts.ts'

/** Changes that are committed together: all of them are stored, or none. */
export interface Commit {
  /** The thread that all changes belong to; any name for the table `workspace`. */
  threadId: string
  /** Events for the thread's log, at least one; they become one batch. */
  append?: { runId: string; events: readonly AguiEvent[] }
  /** Values that the events refer to because they were too large for an event. */
  blobs?: readonly (Blob & { id: string })[]
  writes?: readonly Write[]
  /** Whether this ends a run: it may use the room that is kept for run ends on a full disk. Blobs may not. */
  isLast?: boolean
}

/**
 * Everything that a runner stores: logs, blobs and small tables. Every method is asynchronous, so that a store on
 * another machine can replace the embedded one. A closed storage refuses every method but `close`, with
 * `shutting_down`. Each backend has to pass `test/storage/contract.ts`.
 */
export interface Storage {
  readonly log: EventLog
  readonly blobs: Blobs
  readonly tables: Tables
  readonly tenancy: Tenancy
  /** Undefined for a store that no other machine can reach: the agent's own files are on this machine as well. */
  readonly transcripts?: Transcripts
  /**
   * Commits the changes; resolves with the appended batch once they are committed. Commits of one thread are made in
   * the order of the calls. Readers of the log see a batch only after its commit.
   *
   * @throws {RunnerError} `storage_full`: no change was written, and none will be; `shutting_down` for an append to a
   * closed log; `internal` when the store cannot be written.
   */
  commit(commit: Commit & Required<Pick<Commit, 'append'>>): Promise<Batch>
  commit(commit: Commit): Promise<Batch | undefined>
  /** Resolves when every finished commit is on disk and survives a power cut. */
  flushed(): Promise<void>
  /**
   * Checks for room. Called before a run is accepted.
   *
   * @throws {RunnerError} `storage_full` when the run would not find room.
   */
  checkRoom(): Promise<void>
  /**
   * Removes everything of a thread and ends its readers; resolves when that is on disk. The entry in the table of
   * threads is removed last, so that an interrupted deletion is found.
   *
   * @throws {RunnerError} `storage_full`; call again then.
   */
  drop(threadId: string): Promise<void>
  /** Closes the log, then the store. Safe to call twice. */
  close(): Promise<void>
}
