import type { Batch } from './batch.ts'

/**
 * The only meeting place of agents and clients: per thread a sequence of records, from 1 without gaps. A record
 * is committed before any reader sees it; `Storage.commit` appends.
 */
export interface EventLog {
  /**
   * Everything after `after`, then what comes, at the reader's own pace, until `signal` is aborted, the thread is
   * dropped or the log closed. A thread that has no record yet is waited for. Readers that are at the same place are
   * given the same arrays.
   *
   * @throws {RunnerError} `replay_expired` when what follows `after` is not there any more: retention has passed it,
   * or it is damaged. Details hold `oldestSeq`, the first to go on with, and `lost`, the seqs that are damaged.
   */
  read(threadId: string, after: number, signal: AbortSignal): AsyncIterable<readonly Batch[]>
  /**
   * Asked before a response starts, while a status can still be chosen.
   *
   * @throws {RunnerError} `replay_expired` as `read` would.
   */
  checkReplay(threadId: string, after: number): Promise<void>
  /** The last committed seq; 0 when there is none. */
  head(threadId: string): Promise<number>
  /** How many records each open reader is behind its thread's last. */
  lags(): Promise<readonly number[]>
  /** Bytes that the records take in the store. */
  usedBytes(): Promise<number>
  /** Takes no more appends, and ends each reader behind the last record. Idempotent. */
  close(): Promise<void>
}
