/** One who waits for the next change, as often as it likes. */
export interface Waiter {
  /** Resolves with the next `wake`, or when the waiter's signal is aborted. */
  next(): Promise<void>
  /** Stops listening to the signal. */
  leave(): void
}

/** Those who wait for the next change of one thing. */
export class Waiters {
  readonly #waiting = new Set<() => void>()

  get size(): number {
    return this.#waiting.size
  }

  wake(): void {
    for (const resolve of this.#waiting) resolve()
    this.#waiting.clear()
  }

  /** The signal is listened to once, and not in every wait: a reader waits as often as its thread is written. */
  join(signal: AbortSignal): Waiter {
    let resolveWait: (() => void) | undefined
    const onAbort = (): void => {
      if (resolveWait === undefined) return
      this.#waiting.delete(resolveWait)
      resolveWait()
    }
    signal.addEventListener('abort', onAbort)
    return {
      next: () =>
        new Promise((resolve) => {
          resolveWait = resolve
          this.#waiting.add(resolve)
        }),
      leave: () => signal.removeEventListener('abort', onAbort),
    }
  }
}
