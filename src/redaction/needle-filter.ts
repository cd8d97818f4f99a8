/** Every needle has at least so many characters. */
const NEEDLE_CHARS_MIN = 3
/** So many at the end of a text may begin one, and are not looked at. */
const UNSEEN_CHARS = NEEDLE_CHARS_MIN - 1
/** So many of a needle are reason enough to look closely; to look at more would take long in text made for it. */
const BEGINNING_CHARS = 8

const CODE_BITS = 7
const CODE_MASK = 2 ** CODE_BITS - 1
const PAIRS = 2 ** (2 * CODE_BITS)

/**
 * Tells fast that no needle begins in a text, which is nearly always so. By pairs of characters, as Wu and Manber: one
 * that is no part of the first three of any needle is a reason to go on by two.
 */
export class NeedleFilter {
  /** By pair: how many characters to go on; 0 when it may be the second and third of a needle. */
  readonly #steps = new Uint8Array(PAIRS).fill(UNSEEN_CHARS)
  /** By the pair that is second and third: how these needles begin. */
  readonly #beginnings: (readonly string[])[] = Array.from({ length: PAIRS }, () => NONE)

  /** @throws {RangeError} when a needle is too short for it. */
  constructor(needles: Iterable<string>) {
    const beginnings = new Set([...needles].map((text) => text.slice(0, BEGINNING_CHARS)))
    for (const text of beginnings) {
      if (text.length < NEEDLE_CHARS_MIN) {
        throw new RangeError(`what is looked for has at least ${NEEDLE_CHARS_MIN} characters`)
      }
      const pair = pairOf(text.charCodeAt(1), text.charCodeAt(2))
      this.#steps[pairOf(text.charCodeAt(0), text.charCodeAt(1))] = 1
      this.#beginnings[pair] = [...(this.#beginnings[pair] ?? NONE), text]
    }
    for (const [pair, texts] of this.#beginnings.entries()) if (texts.length > 0) this.#steps[pair] = 0
  }

  /** Where the first needle may begin, all of it or what `text` has left for it; the last two places may always be one. */
  firstIn(text: string): number {
    const last = text.length - 1
    for (let at = 1; at < last; ) {
      const pair = pairOf(text.charCodeAt(at), text.charCodeAt(at + 1))
      const step = this.#steps[pair] ?? 0
      if (step === 0 && this.#begins(text, at - 1, pair)) return at - 1
      at += step === 0 ? 1 : step
    }
    return Math.max(text.length - UNSEEN_CHARS, 0)
  }

  #begins(text: string, start: number, pair: number): boolean {
    for (const beginning of this.#beginnings[pair] ?? NONE) {
      const chars = Math.min(beginning.length, text.length - start)
      let at = 0
      while (at < chars && text.charCodeAt(start + at) === beginning.charCodeAt(at)) at += 1
      if (at === chars) return true
    }
    return false
  }
}

const NONE: readonly string[] = []

/** Two pairs may share a number: then the filter is only less sure. */
function pairOf(first: number, second: number): number {
  return ((first & CODE_MASK) << CODE_BITS) | (second & CODE_MASK)
}
