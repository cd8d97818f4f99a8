import { Waiters } from '../storage/waiters.ts'

export interface Arrival {
  /** Whether the thread lives here. Asked again after each `wake`. */
  isHere(): boolean
  /** Resolves when another process has created the thread, or when its signal is aborted. */
  elsewhere(signal: AbortSignal): Promise<void>
}

/** Requests that wait for a thread that does not exist yet, whichever process creates it. */
export class Arrivals {
  readonly #waiters = new Waiters()

  /** Call when a thread was created here. */
  wake(): void {
    this.#waiters.wake()
  }

  /** Resolves when the thread exists, or when `signal` is aborted. */
  async of({ isHere, elsewhere }: Arrival, signal: AbortSignal): Promise<void> {
    const looking = new AbortController()
    const stop = (): void => looking.abort()
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    try {
      await Promise.race([this.#here(isHere, looking.signal), elsewhere(looking.signal)])
    } finally {
      stop()
      signal.removeEventListener('abort', stop)
    }
  }

  async #here(isHere: () => boolean, signal: AbortSignal): Promise<void> {
    const waiter = this.#waiters.join(signal)
    while (!isHere() && !signal.aborted) await waiter.next()
    waiter.leave()
  }
}
