/** One slot of a limited number. Only its holder frees it. */
export interface Lease {
  /** Frees the slot. Safe to call twice: a second call never frees the slot of a later holder. */
  release(): void
}

/** A limited number of slots. Take one before awaiting the work that needs it, and hold it until that work ends. */
export class Slots<Holder> {
  readonly max: number
  readonly #held = new Map<Lease, Holder>()

  constructor(max: number) {
    this.max = max
  }

  get held(): number {
    return this.#held.size
  }

  /** The holders of the taken slots, the earliest first. */
  get holders(): Holder[] {
    return [...this.#held.values()]
  }

  /** Takes a slot. Returns `undefined` when all are held. */
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
