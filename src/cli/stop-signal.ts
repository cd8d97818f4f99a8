import { once } from 'node:events'
import { EXIT } from './exit.ts'

export interface StopSignal {
  stopped: Promise<unknown>
  signal: AbortSignal
  stop(): void
}

const SIGNALS = ['SIGTERM', 'SIGINT', 'SIGHUP'] as const

/**
 * One wish arrives more than once: Ctrl-C goes to the whole group of the terminal, and npm passes what it gets on to its
 * child as well. What comes within this time is the same one.
 */
const SAME_MS = 500

/** The first SIGTERM, SIGINT or SIGHUP stops in good order, a later one at once. */
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

/** How often the parent is looked for. */
const PARENT_MS = 500

/**
 * Calls `onOrphan` when the process that started this one has ended. npm passes SIGTERM and SIGINT on, but dies of
 * SIGHUP and SIGKILL without a word.
 */
export function whenOrphaned(onOrphan: () => void): void {
  const parent = process.ppid
  const timer = setInterval(() => {
    if (process.ppid === parent) return
    clearInterval(timer)
    onOrphan()
  }, PARENT_MS).unref()
}
