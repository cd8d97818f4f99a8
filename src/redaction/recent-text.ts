/** Characters that are kept beyond need, because cutting the text each time costs more. */
const KEPT_CHARS = 1024

/**
 * The end of a text that arrives in pieces. Adding a piece costs nothing, because the engine joins them only when the
 * whole is read. The last two pieces are nearly always enough.
 */
export class RecentText {
  /** Characters that are kept in front of the held-back text. */
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

  /** Returns the part of the range that is kept. */
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

  /** Returns NaN for a position outside the last piece. */
  lastCodeAt(position: number): number {
    return this.#last.charCodeAt(position - this.#end + this.#last.length)
  }

  /** Marks the text before `position` as given out. */
  forget(position: number): void {
    if (this.#text.length <= KEPT_CHARS) return
    const from = this.#text.length - (this.#end - position) - this.#lookBackChars
    this.#text = this.#text.slice(Math.max(from, 0))
  }
}
