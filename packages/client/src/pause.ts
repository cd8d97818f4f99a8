/** Resolves after `ms` milliseconds, or when the network is back, or when `signal` is aborted. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return
  const over = new AbortController()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    signal?.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
    // Only a browser has this event; Node's global object is no EventTarget.
    const page: object = globalThis
    if (page instanceof EventTarget)
      page.addEventListener('online', () => resolve(), { once: true, signal: over.signal })
  })
  over.abort()
}
