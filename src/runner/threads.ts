import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Threads, type ThreadsOptions } from '../thread/threads.ts'
import { settle } from './enforcement.ts'
import { onLogFailure } from './state.ts'

interface OpenThreadsOptions extends Omit<ThreadsOptions, 'onRunEnding' | 'onLogFailure'> {
  logger: Logger
  enforcement: Enforcement
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

/** The threads of a storage. */
export function openThreads({ onFatal, logger, enforcement, ...options }: OpenThreadsOptions): Threads {
  return new Threads({
    ...options,
    onRunEnding: () => settle(enforcement, logger),
    onLogFailure: onLogFailure(logger, (error) => onFatal(error)),
  })
}
