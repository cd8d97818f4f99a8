import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Store } from '../storage/lmdb/store.ts'
import type { Logger } from '../telemetry/logger.ts'
import { type QueueLimits, Queues } from '../thread/queue.ts'
import { Sessions, type SessionsOptions } from '../thread/sessions.ts'
import { Threads } from '../thread/threads.ts'
import { settle } from './enforcement.ts'
import { onLogFailure } from './state.ts'

interface OpenSessionsOptions
  extends Omit<SessionsOptions, 'threads' | 'queues' | 'onRunEnding' | 'onLogFailure'>,
    QueueLimits {
  store: Store
  logger: Logger
  enforcement: Enforcement
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

/** The threads of a store, with their queues. */
export function openSessions({ onFatal, logger, enforcement, ...options }: OpenSessionsOptions): Sessions {
  return new Sessions({
    ...options,
    threads: new Threads(options.store),
    queues: new Queues(options),
    onRunEnding: () => settle(enforcement, logger),
    onLogFailure: onLogFailure(logger, (error) => onFatal(error)),
  })
}
