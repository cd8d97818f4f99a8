/** To cut off what nobody needs any more is dearer than to keep so much of it. */
const KEPT_CHARS = 1024

/**
 * The end of a text that comes in pieces. Adding one costs nothing, for the engine puts them together when somebody
 * looks at the whole; nearly always it is enough to look at the last two.
 */
export class RecentText {
  /** So much is kept in front of what was not given out. */
  readonly #lookBackChars: number
  #text = ''
  #last = ''
  #beforeLast = ''
  #end = 0

  constructor(lookBackChars: number) {
    this.#lookBackChars = lookBackChars
  }

  get end(): number {
    return this.#end
  }

  add(piece: string): void {
    this.#beforeLast = this.#last
    this.#last = piece
    this.#text += piece
    this.#end += piece.length
  }

  /** As much of it as is kept. */
  slice(start: number, end: number): string {
    const lastAt = this.#end - this.#last.length
    if (start >= lastAt) return this.#last.slice(start - lastAt, end - lastAt)
    const beforeAt = lastAt - this.#beforeLast.length
    if (start >= beforeAt && end >= lastAt) {
      return this.#beforeLast.slice(start - beforeAt) + this.#last.slice(0, end - lastAt)
    }
    const base = this.#end - this.#text.length
    return this.#text.slice(Math.max(start - base, 0), Math.max(end - base, 0))
  }

  /** NaN for a character that is not of the last piece. */
  lastCodeAt(position: number): number {
    return this.#last.charCodeAt(position - this.#end + this.#last.length)
  }

  /** What stands in front of `position` was given out. */
  forget(position: number): void {
    if (this.#text.length <= KEPT_CHARS) return
    const from = this.#text.length - (this.#end - position) - this.#lookBackChars
    this.#text = this.#text.slice(Math.max(from, 0))
  }
}
