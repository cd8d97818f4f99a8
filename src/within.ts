import { AwakeTimer } from './awake-timer.ts'

export interface Bounds {
  signal: AbortSignal
  /** The time limit, in milliseconds in which this process runs; undefined for no limit. */
  timeoutMs?: number
}

/**
 * Runs `work` with its own signal. That signal is aborted together with `signal`, or when the time is up.
 *
 * It stands in for `AbortSignal.any` with `AbortSignal.timeout`. Node may garbage-collect the sources of these signals
 * during a wait, and then nothing ends the wait (nodejs/node issues 57736 and 65995).
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

/**
 * Settles as `promise`, or rejects with the signal's reason if `signal` is aborted first. In that case the later
 * outcome of the promise is ignored.
 */
export function unlessAborted<T>(signal: AbortSignal, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', stop))
  })
}
