import { once } from 'node:events'
import { EXIT } from './exit.ts'

export interface StopSignal {
  stopped: Promise<unknown>
  signal: AbortSignal
  stop(): void
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * Time in which further signals count as the first one, in milliseconds. One Ctrl-C arrives more than once: the
 * terminal signals the whole process group, and npm passes its own signal on to its child.
 */
const SAME_MS = 500

/** Installs the handlers: the first SIGTERM, SIGINT or SIGHUP stops in good order, a later one exits at once. */
export function stopSignal(onFirst: () => void): StopSignal {
  const abort = new AbortController()
  let firstAt = 0
  const onSignal = (): void => {
    if (!abort.signal.aborted) {
      firstAt = performance.now()
      onFirst()
      abort.abort()
    } else if (performance.now() - firstAt > SAME_MS) process.exit(EXIT.internal)
  }
  for (const signal of SIGNALS) process.on(signal, onSignal)
  return { stopped: once(abort.signal, 'abort'), signal: abort.signal, stop: () => abort.abort() }
}

/** Pause between two checks of the parent, in milliseconds. */
const PARENT_MS = 500

/**
 * Calls `onOrphan` when the process that started this one has ended. npm passes SIGTERM and SIGINT on, but not the
 * SIGHUP or SIGKILL that ends it.
 */
export function whenOrphaned(onOrphan: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    onOrphan()
  }, PARENT_MS).unref()
}
