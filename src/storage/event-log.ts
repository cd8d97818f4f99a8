import type { AguiEvent } from '../agui/event.ts'
import type { Batch } from './batch.ts'

export interface AppendOptions {
  /** Resolve only when the records are on disk, not merely committed: they then survive a power cut. */
  durable?: boolean
  /** Belongs to the end of a run: may use the room that is kept for it when the disk is full. */
  isLast?: boolean
}

/**
 * The only meeting place of agents and clients: per thread a sequence of records, from 1 without gaps. A record
 * is committed before any reader sees it. Kept as small as this so that a Redis stream can stand in for the
 * embedded store.
 */
export interface EventLog {
  /**
   * Appends in call order; resolves when committed.
   *
   * @throws {RunnerError} `storage_full`, before it returns: nothing was written then, and nothing will be.
   */
  append(
    threadId: string,
    runId: string,
    events: readonly AguiEvent[],
    options?: AppendOptions,
  ): Promise<Batch>
  /**
   * Everything after `after`, then what comes, at the reader's own pace, until `signal` is aborted, the thread is
   * dropped or the log closed. A thread that has no record yet is waited for.
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
  checkReplay(threadId: string, after: number): void
  /**
   * Asked before a run is taken in.
   *
   * @throws {RunnerError} `storage_full` when it would not find room.
   */
  checkRoom(): void
  /** The last committed seq; 0 when there is none. */
  head(threadId: string): number
  /** How many records each open reader is behind its thread's last. */
  lags(): readonly number[]
  /** Forgets the thread and ends its readers. */
  drop(threadId: string): Promise<void>
  close(): Promise<void>
}
