import type { Batch } from './batch.ts'

/**
 * The log of all threads, and the only path from agents to clients. Each thread has a sequence of records, numbered
 * from 1 without gaps. `Storage.commit` appends; a record is committed before any reader sees it.
 */
export interface EventLog {
  /**
   * Yields the records after `after`, then each new one once it is committed, at the reader's own pace. Ends when
   * `signal` is aborted, the thread is dropped or the log is closed. Waits when the thread has no record yet. Readers
   * at the same seq share the same arrays.
   *
   * @throws {RunnerError} `replay_expired` when the records after `after` are removed by retention or damaged, or when
   * `after` is past the head. Details hold `oldestSeq`, the first seq to go on with, and `lost`, the damaged seqs.
   */
  read(threadId: string, after: number, signal: AbortSignal): AsyncIterable<readonly Batch[]>
  /**
   * Checks whether `read` could start there. Called before a response starts, while its status can still be chosen.
   *
   * @throws {RunnerError} `replay_expired` as `read` would.
   */
  checkReplay(threadId: string, after: number): Promise<void>
  /** Returns the last committed seq; 0 when the thread has no record. */
  head(threadId: string): Promise<number>
  /** Returns for each open reader how many records it is behind its thread's head. */
  lags(): Promise<readonly number[]>
  /** Returns the size of the records in the store, in bytes. */
  usedBytes(): Promise<number>
  /** Refuses further appends and ends each reader after the last record. Safe to call twice. */
  close(): Promise<void>
}
