import { createHash } from 'node:crypto'

/**
 * Longest id that is used unchanged, in characters. A client sends ids back and may send at most `ID_CHARS_MAX`; the
 * runner adds a suffix to some.
 */
const GIVEN_CHARS_MAX = 128
/** Number of ids kept for the next run: enough to catch a gateway that repeats ids. The real API never does. */
const REMEMBERED_MAX = 1000

/**
 * Ids that a thread has used. AG-UI requires unique ids within the thread, and a second message with an id is appended
 * to the first. A model gateway may answer every request as `msg_1`.
 */
export class UsedIds {
  readonly #uses: Map<string, number>

  constructor(remembered: readonly (readonly [string, number])[] = []) {
    this.#uses = new Map(remembered)
  }

  /** Returns the id, or a digest of one that is too long. Later uses return `<id>~2`, `<id>~3`. */
  claim(given: string): string {
    const id = given.length > GIVEN_CHARS_MAX ? createHash('sha256').update(given).digest('base64url') : given
    const uses = (this.#uses.get(id) ?? 0) + 1
    this.#uses.delete(id)
    this.#uses.set(id, uses)
    return uses === 1 ? id : `${id}~${uses}`
  }

  /** Returns the most recent ids with their number of uses, for the thread's next run. */
  recent(): [string, number][] {
    return [...this.#uses].slice(-REMEMBERED_MAX)
  }
}
