import { inBackground } from '../background.ts'
import { runEnded, runStarted } from '../channels.ts'

/** How long no run may have been under way, in milliseconds. By then the log has let go of the latest batches. */
const QUIET_MS = 15_000

/**
 * Collects garbage once, when no run has been under way for `quietMs`: after the start, and each time the last run has
 * ended. V8 collects when memory is asked for, so a process that asks for none keeps what a load has left, 110 MiB for a minute
 * and more, of which 40 are garbage; and in Node 24 what the start has left, 15 MiB.
 *
 * @returns a function that ends it.
 */
export function collectWhenQuiet(quietMs = QUIET_MS): () => void {
  let running = 0
  let timer: NodeJS.Timeout | undefined
  const collectSoon = (): void => {
    clearTimeout(timer)
    timer = setTimeout(() => inBackground({ name: 'collecting garbage' }, collect()), quietMs).unref()
  }
  collectSoon()
  const unsubscribe = [
    runStarted.subscribe(() => {
      running += 1
      clearTimeout(timer)
    }),
    runEnded.subscribe(() => {
      running -= 1
      if (running === 0) collectSoon()
    }),
  ]
  return () => {
    clearTimeout(timer)
    for (const end of unsubscribe) end()
  }
}

/** Node has no function for this without a flag; the inspector of one's own process has. */
async function collect(): Promise<void> {
  const { Session } = await import('node:inspector/promises')
  const session = new Session()
  session.connect()
  try {
    await session.post('HeapProfiler.collectGarbage')
  } finally {
    session.disconnect()
  }
}
