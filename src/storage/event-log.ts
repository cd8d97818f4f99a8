import type { AguiEvent } from '../agui/event.ts'
import type { Batch } from './batch.ts'

export interface AppendOptions {
  /** Resolve only when the records are on disk, not merely committed: they then survive a power cut. */
  durable?: boolean
}

/**
 * The only meeting place of agents and clients: per thread a sequence of records, from 1 without gaps. A record
 * is committed before any reader sees it. Kept as small as this so that a Redis stream can stand in for the
 * embedded store.
 */
export interface EventLog {
  /** Appends in call order; resolves when committed. */
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
   * @throws {RunnerError} `replay_expired` when retention has passed `after`; details hold `oldestSeq`.
   */
  read(threadId: string, after: number, signal: AbortSignal): AsyncIterable<readonly Batch[]>
  /**
   * Asked before a response starts, while a status can still be chosen.
   *
   * @throws {RunnerError} `replay_expired` as `read` would.
   */
  checkReplay(threadId: string, after: number): void
  /** The last committed seq; 0 when there is none. */
  head(threadId: string): number
  /** How many records each open reader is behind its thread's last. */
  lags(): readonly number[]
  /** Forgets the thread and ends its readers. */
  drop(threadId: string): Promise<void>
  close(): Promise<void>
}
