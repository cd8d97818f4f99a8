import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Store } from '../storage/lmdb/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type QueueLimits, Queues } from '../thread/queue.ts'
import { ThreadTable } from '../thread/thread-table.ts'
import { Threads, type ThreadsOptions } from '../thread/threads.ts'
import { settle } from './enforcement.ts'
import { onLogFailure } from './state.ts'

interface OpenThreadsOptions
  extends Omit<ThreadsOptions, 'table' | 'queues' | 'onRunEnding' | 'onLogFailure'>,
    QueueLimits {
  store: Store
  logger: Logger
  enforcement: Enforcement
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

/** The threads of a store, with their queues. */
export function openThreads({ onFatal, logger, enforcement, ...options }: OpenThreadsOptions): Threads {
  return new Threads({
    ...options,
    table: new ThreadTable(options.store),
    queues: new Queues(options),
    onRunEnding: () => settle(enforcement, logger),
    onLogFailure: onLogFailure(logger, (error) => onFatal(error)),
  })
}
