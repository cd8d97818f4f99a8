import { createHash } from 'node:crypto'

/** A client sends ids back, and may not send longer ones than `ID_CHARS_MAX`; the runner adds a little to some. */
const GIVEN_CHARS_MAX = 128
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

  /** The id itself, or a digest of one that is too long; later `<id>~2`, `<id>~3`. */
  claim(given: string): string {
    const id = given.length > GIVEN_CHARS_MAX ? createHash('sha256').update(given).digest('base64url') : given
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
