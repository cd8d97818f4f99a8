import { createClass, isIn } from './character-class.ts'
import { type NeedleTree, ROOT } from './needle-tree.ts'

/** Longest gap between two characters of one secret: a line's end and the next line's beginning, in any spelling. */
export const GAP_CHARS_MAX = 64
/** Longest line number, in digits. */
const NUMBER_CHARS_MAX = 9
/** Digits of a character that is spelled `\uXXXX`. */
const UNICODE_DIGITS = 4

const BASE64 = createClass('A-Za-z0-9+/_-')
const DIGIT = createClass('0-9')
const HEX = createClass('0-9a-fA-F')
const WHITE = /\s|\u0085|\u200b|\ufeff/

const [TAB, NEWLINE, RETURN, SLASH, BACKSLASH, SMALL_U] = [0x09, 0x0a, 0x0d, 0x2f, 0x5c, 0x75]
/** Characters between a line's number and the line in the output of Claude Code's Read, `cat -n` and `grep -n`. */
const BEHIND_NUMBER = [TAB, 0x2192, 0x3a, 0x7c]
/** JSON escapes of white space, by their letter: n, r, t, f, v. */
const ESCAPED_WHITE = new Map([
  [0x6e, NEWLINE],
  [0x72, RETURN],
  [0x74, TAB],
  [0x66, TAB],
  [0x76, TAB],
])

/** The progress of a search: a state of the tree, and the positions of the characters that led there. */
interface Way {
  state: number
  /** Number of noted characters. */
  count: number
  /** Position of the last noted character in the text. */
  last: number
}

/**
 * Finds secrets in base64 that is broken into lines. `base64` breaks after 76 characters, PEM after 64, others elsewhere,
 * and in JSON a line's end is two characters or more. White space in any spelling and line numbers are skipped. A secret
 * may begin and break anywhere in a line.
 */
export class SpacedSearch {
  readonly #tree: NeedleTree
  readonly #onFound: (start: number, end: number) => void
  /** Positions of the last characters, as many as the longest needle has: a ring that grows with use. */
  readonly #positions: number[] = []
  readonly #capacity: number
  #way: Way = { state: ROOT, count: 0, last: -1 }
  /** State of an escape: 0 or 1 backslashes, from 2 on the digits of a `\u`; beside it the value so far. */
  #escape = 0
  #unicode = 0
  /** The progress to return to when the digits at the start of this line turn out to be its number. */
  #beforeNumber: Way | undefined
  #digits = 0

  constructor(tree: NeedleTree, onFound: (start: number, end: number) => void) {
    this.#tree = tree
    this.#onFound = onFound
    this.#capacity = tree.longest + NUMBER_CHARS_MAX + 1
  }

  /** Takes the next piece. `first` is the position of its first character. */
  push(piece: string, first: number): void {
    if (this.#tree.longest === 0) return
    for (let index = 0; index < piece.length; index++) {
      const code = piece.charCodeAt(index)
      const isPlain = this.#escape === 0 && this.#beforeNumber === undefined
      if (isPlain && isIn(BASE64, code)) this.#take(code, first + index)
      else if (!isPlain || this.#way.state !== ROOT || code === BACKSLASH) this.#pass(code, first + index)
    }
  }

  /** Returns the position of the first character that may still belong to a secret, or `position`. */
  heldFrom(position: number): number {
    const from = this.#waitsFrom(this.#way) ?? position
    const before = this.#beforeNumber === undefined ? undefined : this.#waitsFrom(this.#beforeNumber)
    return Math.min(from, before ?? position)
  }

  /** Ends the text. A long enough beginning of a secret counts as one. */
  flush(): void {
    for (const way of [this.#way, this.#beforeNumber]) {
      const chars = way === undefined ? 0 : this.#tree.cut(way.state)
      if (way !== undefined && chars > 0) this.#onFound(this.#startOf(way, chars), way.last + 1)
    }
    this.#lose()
    this.#escape = 0
  }

  #take(code: number, position: number): void {
    const way = this.#way
    way.state = this.#tree.next(way.state, code)
    if (way.state === ROOT) return
    this.#positions[way.count % this.#capacity] = position
    way.count += 1
    way.last = position
    if (!this.#tree.isHit(way.state)) return
    const chars = this.#tree.depth(this.#tree.ending(way.state))
    this.#onFound(this.#startOf(way, chars), position + 1)
  }

  /** Takes a character that may be white space or a part of its spelling. */
  #pass(code: number, position: number): void {
    if (position - this.#way.last > GAP_CHARS_MAX) this.#way.state = ROOT
    if (position - (this.#beforeNumber?.last ?? position) > GAP_CHARS_MAX) this.#isNoNumber()
    if (this.#escape > 1) this.#inUnicode(code, position)
    else if (this.#escape === 1) this.#inEscape(code, position)
    else if (code === BACKSLASH) this.#escape = 1
    else if (this.#digits > 0 && BEHIND_NUMBER.includes(code)) this.#endNumber()
    else if (isIn(BASE64, code)) this.#atLineStart(code, position)
    else if (isWhite(code)) this.#white(code)
    else this.#lose()
  }

  #inEscape(code: number, position: number): void {
    if (code === BACKSLASH) return
    this.#escape = 0
    const white = ESCAPED_WHITE.get(code)
    if (white !== undefined) this.#white(white)
    else if (code === SLASH) this.#take(code, position)
    else if (code === SMALL_U) {
      this.#escape = 2
      this.#unicode = 0
    } else {
      this.#lose()
      if (isIn(BASE64, code)) this.#take(code, position)
    }
  }

  #inUnicode(code: number, position: number): void {
    if (!isIn(HEX, code)) {
      this.#escape = 0
      this.#lose()
      this.#pass(code, position)
      return
    }
    this.#unicode = this.#unicode * 16 + Number.parseInt(String.fromCharCode(code), 16)
    this.#escape += 1
    if (this.#escape < 2 + UNICODE_DIGITS) return
    this.#escape = 0
    if (isWhite(this.#unicode)) this.#white(this.#unicode)
    else this.#lose()
  }

  #white(code: number): void {
    if (this.#digits > 0 && code === TAB) this.#endNumber()
    else if (code === NEWLINE || code === RETURN) {
      this.#beforeNumber = this.#way.state === ROOT ? undefined : { ...this.#way }
      this.#digits = 0
    } else if (this.#digits > 0) this.#isNoNumber()
  }

  /** Takes a digit at the start of a line: it belongs to the line's number or continues the secret. */
  #atLineStart(code: number, position: number): void {
    if (isIn(DIGIT, code) && this.#digits < NUMBER_CHARS_MAX) this.#digits += 1
    else this.#isNoNumber()
    this.#take(code, position)
  }

  #endNumber(): void {
    if (this.#beforeNumber !== undefined) this.#way = this.#beforeNumber
    this.#isNoNumber()
  }

  #isNoNumber(): void {
    this.#beforeNumber = undefined
    this.#digits = 0
  }

  #lose(): void {
    this.#way.state = ROOT
    this.#isNoNumber()
  }

  #waitsFrom(way: Way): number | undefined {
    for (let { state } = way; state !== ROOT; state = this.#tree.fail(state)) {
      if (this.#tree.waits(state)) return this.#startOf(way, this.#tree.depth(state))
    }
    return undefined
  }

  /** Returns the position at which the last `chars` characters begin. */
  #startOf({ count }: Way, chars: number): number {
    return this.#positions[(count - chars) % this.#capacity] ?? 0
  }
}

function isWhite(code: number): boolean {
  return WHITE.test(String.fromCharCode(code))
}
