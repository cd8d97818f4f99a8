/** Until the time is over, the network is back, or `signal` says so. */
export async function pause(ms: number, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) return
  const over = new AbortController()
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, ms)
    over.signal.addEventListener('abort', () => clearTimeout(timer), { once: true })
    signal?.addEventListener('abort', () => resolve(), { once: true, signal: over.signal })
    // In a browser; Node has no such event, nor anything to listen on.
    const page: object = globalThis
    if (page instanceof EventTarget)
      page.addEventListener('online', () => resolve(), { once: true, signal: over.signal })
  })
  over.abort()
}
