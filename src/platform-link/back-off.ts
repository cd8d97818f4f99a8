/** The first and the longest pause, in milliseconds. */
export interface Pace {
  first: number
  longest: number
}

/** The pauses between attempts. Each is twice the previous one, with jitter so that a fleet does not come at once. */
export class BackOff {
  readonly #pace: Pace
  #next: number
  #isHurried = false
  #wake: (() => void) | undefined

  constructor(pace: Pace) {
    this.#pace = pace
    this.#next = pace.first
  }

  /** Makes the next pause the shortest one, after a success. */
  reset(): void {
    this.#next = this.#pace.first
  }

  /** Ends the pause in progress and lets no later one be longer than the first, since little time is left. */
  hurry(): void {
    this.#isHurried = true
    this.#wake?.()
  }

  /** Waits for the next pause; ends early when `signal` is aborted or `hurry` is called. */
  pause(signal: AbortSignal): Promise<void> {
    const ms = (this.#isHurried ? this.#pace.first : this.#next) * (0.8 + 0.4 * Math.random())
    this.#next = Math.min(this.#next * 2, this.#pace.longest)
    return new Promise((resolve) => {
      const end = (): void => {
        clearTimeout(timer)
        signal.removeEventListener('abort', end)
        this.#wake = undefined
        resolve()
      }
      const timer = setTimeout(end, ms)
      this.#wake = end
      signal.addEventListener('abort', end, { once: true })
      if (signal.aborted) end()
    })
  }
}
