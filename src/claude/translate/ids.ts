/** Enough to catch a gateway that repeats itself; ids of the real API never repeat. */
const REMEMBERED_MAX = 1000

/**
 * Ids that a thread has used. AG-UI wants them unique within the thread, and a second message under an id is
 * appended to the first one; a model gateway may well answer every request as `msg_1`.
 */
export class UsedIds {
  readonly #uses: Map<string, number>

  constructor(remembered: readonly (readonly [string, number])[] = []) {
    this.#uses = new Map(remembered)
  }

  /** The id itself the first time it is seen, later `<id>~2`, `<id>~3`. */
  claim(id: string): string {
    const uses = (this.#uses.get(id) ?? 0) + 1
    this.#uses.delete(id)
    this.#uses.set(id, uses)
    return uses === 1 ? id : `${id}~${uses}`
  }

  /** The most recent ones, for the thread's next run. */
  recent(): [string, number][] {
    return [...this.#uses].slice(-REMEMBERED_MAX)
  }
}
