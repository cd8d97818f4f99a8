/** Asks again and again, never twice at once. */
export class Poll {
  readonly #ask: () => Promise<void>
  readonly #everyMs: () => number
  #asking: Promise<void> | undefined
  #next: Promise<void> | undefined
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor(ask: () => Promise<void>, everyMs: () => number) {
    this.#ask = ask
    this.#everyMs = everyMs
  }

  /** Resolves behind an answer to a question that was asked from now on. */
  async now(): Promise<void> {
    if (this.#asking === undefined) this.#asking = this.#once()
    else this.#next ??= this.#asking.then(() => this.now())
    await (this.#next ?? this.#asking)
  }

  async #once(): Promise<void> {
    clearTimeout(this.#timer)
    await this.#ask()
    this.#asking = undefined
    this.#next = undefined
    this.#timer = setTimeout(() => void this.now(), this.#everyMs())
  }
}
