/** One slot of a limited number. Whoever holds it is the only one who frees it. */
export interface Lease {
  /** Idempotent: what was freed once may be somebody else's by now. */
  release(): void
}

/** A limited number of slots. One is taken before anything is awaited that needs it, and held until that is gone. */
export class Slots<Holder> {
  readonly max: number
  readonly #held = new Map<Lease, Holder>()

  constructor(max: number) {
    this.max = max
  }

  get held(): number {
    return this.#held.size
  }

  /** Who holds one, the earliest first. */
  get holders(): Holder[] {
    return [...this.#held.values()]
  }

  /** A slot, or `undefined` when all of them are held. */
  take(holder: Holder): Lease | undefined {
    if (this.#held.size >= this.max) return undefined
    const lease: Lease = {
      release: () => {
        this.#held.delete(lease)
      },
    }
    this.#held.set(lease, holder)
    return lease
  }
}
