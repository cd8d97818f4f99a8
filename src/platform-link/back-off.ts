/** Milliseconds. */
export interface Pace {
  first: number
  longest: number
}

/** The pauses between attempts: each twice the one before, with a part left to chance so that a fleet does not come at once. */
export class BackOff {
  readonly #pace: Pace
  #next: number
  #isHurried = false
  #wake: (() => void) | undefined

  constructor(pace: Pace) {
    this.#pace = pace
    this.#next = pace.first
  }

  /** It went well: the next pause is the shortest. */
  reset(): void {
    this.#next = this.#pace.first
  }

  /** Ends the pause under way, and lets none be longer than the first: whoever waits has little time. */
  hurry(): void {
    this.#isHurried = true
    this.#wake?.()
  }

  /** Ends early when `signal` is aborted. */
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
