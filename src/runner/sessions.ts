import type { Store } from '../storage/lmdb/store.ts'
import { type QueueLimits, Queues } from '../thread/queue.ts'
import { Sessions, type SessionsOptions } from '../thread/sessions.ts'
import { Threads } from '../thread/threads.ts'

interface OpenSessionsOptions
  extends Omit<SessionsOptions, 'threads' | 'queues' | 'onLogFailure'>,
    QueueLimits {
  store: Store
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

/** The threads of a store, with their queues. */
export function openSessions({ onFatal, ...options }: OpenSessionsOptions): Sessions {
  return new Sessions({
    ...options,
    threads: new Threads(options.store),
    queues: new Queues(options),
    onLogFailure: (error) => onFatal(error),
  })
}
