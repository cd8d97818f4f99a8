import { createClass, isIn } from './character-class.ts'
import { type NeedleTree, ROOT } from './needle-tree.ts'

/** Between two characters of one secret: a line's end and what the next line begins with, however that is spelled. */
export const GAP_CHARS_MAX = 64
/** A line of more digits is not numbered. */
const NUMBER_CHARS_MAX = 9
/** A character spelled `\uXXXX` has so many digits. */
const UNICODE_DIGITS = 4

const BASE64 = createClass('A-Za-z0-9+/_-')
const DIGIT = createClass('0-9')
const HEX = createClass('0-9a-fA-F')
const WHITE = /\s|\u0085|\u200b|\ufeff/

const [TAB, NEWLINE, RETURN, SLASH, BACKSLASH, SMALL_U] = [0x09, 0x0a, 0x0d, 0x2f, 0x5c, 0x75]
/** What stands between the number of a line and the line, as Claude Code's Read, `cat -n` and `grep -n` have it. */
const BEHIND_NUMBER = [TAB, 0x2192, 0x3a, 0x7c]
/** Escapes of JSON that are white space, by their letter: n, r, t, f, v. */
const ESCAPED_WHITE = new Map([
  [0x6e, NEWLINE],
  [0x72, RETURN],
  [0x74, TAB],
  [0x66, TAB],
  [0x76, TAB],
])

/** As far as the search has come: a state of the tree, and the places of the characters that led to it. */
interface Way {
  state: number
  /** Characters that were noted. */
  count: number
  /** The last one's position in the text. */
  last: number
}

/**
 * Finds secrets in base64 that is broken into lines: `base64` does so after 76 characters, PEM after 64, others
 * elsewhere, and in JSON a line's end is two characters or more. White space, in any spelling, and the numbers of lines
 * are passed over; a secret may begin and be broken anywhere in a line.
 */
export class SpacedSearch {
  readonly #tree: NeedleTree
  readonly #onFound: (start: number, end: number) => void
  /** Where the last characters stood, as many as the longest needle has: a ring that grows as it is used. */
  readonly #positions: number[] = []
  readonly #capacity: number
  #way: Way = { state: ROOT, count: 0, last: -1 }
  /** Backslashes that were just seen, 0 or 1; from 2 on the digits of a `\u`, and its value so far. */
  #escape = 0
  #unicode = 0
  /** Where it goes on when the digits at the start of this line are its number. */
  #beforeNumber: Way | undefined
  #digits = 0

  constructor(tree: NeedleTree, onFound: (start: number, end: number) => void) {
    this.#tree = tree
    this.#onFound = onFound
    this.#capacity = tree.longest + NUMBER_CHARS_MAX + 1
  }

  /** `first` is the position of the piece's first character. */
  push(piece: string, first: number): void {
    if (this.#tree.longest === 0) return
    for (let index = 0; index < piece.length; index++) {
      const code = piece.charCodeAt(index)
      const isPlain = this.#escape === 0 && this.#beforeNumber === undefined
      if (isPlain && isIn(BASE64, code)) this.#take(code, first + index)
      else if (!isPlain || this.#way.state !== ROOT || code === BACKSLASH) this.#pass(code, first + index)
    }
  }

  /** The first character that may still belong to a secret, or `position`. */
  heldFrom(position: number): number {
    const from = this.#waitsFrom(this.#way) ?? position
    const before = this.#beforeNumber === undefined ? undefined : this.#waitsFrom(this.#beforeNumber)
    return Math.min(from, before ?? position)
  }

  /** The end of the text: enough of a secret counts as one. */
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

  /** A character that may be white space, or a part of its spelling. */
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

  /** Digits may be the number of the line, or go on with the secret. */
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

  /** Where the last `chars` of them begin. */
  #startOf({ count }: Way, chars: number): number {
    return this.#positions[(count - chars) % this.#capacity] ?? 0
  }
}

function isWhite(code: number): boolean {
  return WHITE.test(String.fromCharCode(code))
}
