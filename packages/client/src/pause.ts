/** The longest wait of a timer, in milliseconds; a longer one, or an endless one, would be over at once. */
export const TIMER_MS_MAX = 2 ** 31 - 1

/** Resolves after `ms` milliseconds, or when the network is back, or when `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return
  const over = new AbortController()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, Math.min(ms, TIMER_MS_MAX))
    over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    signal?.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
    // Only a browser has this event; Node's global object is no EventTarget.
    const page: object = globalThis
    if (page instanceof EventTarget)
      page.addEventListener('online', () => resolve(), { once: true, signal: over.signal })
  })
  over.abort()
}
