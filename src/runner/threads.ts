import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Logger } from '../telemetry/logger.ts'
import { Threads, type ThreadsOptions } from '../thread/threads.ts'
import { onLogFailure } from './state.ts'

interface OpenThreadsOptions extends Omit<ThreadsOptions, 'onRunEnding' | 'onLogFailure'> {
  logger: Logger
  enforcement: Enforcement
  /** Called when the log cannot be written. The runner can no longer keep its promises and must stop. */
  onFatal(error: unknown): void
}

/** Opens the threads of a storage. It names each option, so that no other member of the argument reaches them. */
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
