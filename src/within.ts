import { AwakeTimer } from './awake-timer.ts'

export interface Bounds {
  signal: AbortSignal
  /** Milliseconds in which this process runs; no limit when undefined. */
  timeoutMs?: number
}

/**
 * Work with a signal of its own, which is aborted with the other one or when the time is up.
 *
 * In the place of `AbortSignal.any` and `AbortSignal.timeout` together: Node may collect their sources as garbage while
 * somebody waits, and then nothing ever ends the wait (nodejs/node issues 57736 and 65995).
 */
export async function within<T>(
  { signal, timeoutMs }: Bounds,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
  const own = new AbortController()
  const stop = (): void => own.abort(signal.reason)
  const late = (): void => own.abort(new DOMException('The operation took too long.', 'TimeoutError'))
  const timer = timeoutMs === undefined ? undefined : new AwakeTimer(timeoutMs, late)
  signal.addEventListener('abort', stop, { once: true })
  if (signal.aborted) stop()
  try {
    return await work(own.signal)
  } finally {
    timer?.close()
    signal.removeEventListener('abort', stop)
  }
}
