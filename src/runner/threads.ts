import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Threads, type ThreadsOptions } from '../thread/threads.ts'
import { onLogFailure } from './state.ts'

interface OpenThreadsOptions extends Omit<ThreadsOptions, 'onRunEnding' | 'onLogFailure'> {
  logger: Logger
  enforcement: Enforcement
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

/** The threads of a storage. Each option is named, so that nothing else of the caller's reaches them. */
export function openThreads({ onFatal, logger, enforcement, ...given }: OpenThreadsOptions): Threads {
  const { agent, storage, redactor, eventBytesMax, threadsMax, runTimeoutMs, runIdleTimeoutMs } = given
  const { queueMax, queueBytesMax, disconnectGraceMs, onRunEnded } = given
  return new Threads({
    agent,
    storage,
    redactor,
    eventBytesMax,
    threadsMax,
    runTimeoutMs,
    runIdleTimeoutMs,
    queueMax,
    queueBytesMax,
    disconnectGraceMs,
    onRunEnded,
    onRunEnding: () => enforcement.settle(),
    onLogFailure: onLogFailure(logger, (error) => onFatal(error)),
  })
}
