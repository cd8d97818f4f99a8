/** Asks again and again, never twice at once. After `now()` it also asks again behind an answer that was on its way. */
export class Poll {
  readonly #ask: () => Promise<void>
  #asking: Promise<void> | undefined
  #isStale = false
  #timer: ReturnType<typeof setTimeout> | undefined
  readonly #everyMs: () => number

  constructor(ask: () => Promise<void>, everyMs: () => number) {
    this.#ask = ask
    this.#everyMs = everyMs
  }

  now(): void {
    this.#isStale = this.#asking !== undefined
    this.#asking ??= this.#once()
  }

  async #once(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#ask()
    this.#asking = undefined
    if (this.#isStale) this.now()
    else this.#timer = setTimeout(() => this.now(), this.#everyMs())
  }
}
