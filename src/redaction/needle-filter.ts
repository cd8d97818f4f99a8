/** Shortest needle that the filter takes. */
const NEEDLE_CHARS_MIN = 3
/** Characters at the end of a text that are not examined, because a needle may begin there. */
const UNSEEN_CHARS = NEEDLE_CHARS_MIN - 1
/** Characters of a needle that are compared before the closer search. More would be slow in text built against it. */
const BEGINNING_CHARS = 8

const CODE_BITS = 7
const CODE_MASK = 2 ** CODE_BITS - 1
const PAIRS = 2 ** (2 * CODE_BITS)

/**
 * Shows fast that no needle begins in a text, which is nearly always so. It works on pairs of characters, after Wu and
 * Manber: a pair that is in no needle's first three characters lets the search skip two.
 */
export class NeedleFilter {
  /** By pair: the characters to skip, or 0 when the pair may be a needle's second and third character. */
  readonly #steps = new Uint8Array(PAIRS).fill(UNSEEN_CHARS)
  /** By a needle's second and third character: the beginnings of these needles. */
  readonly #beginnings: (readonly string[])[] = Array.from({ length: PAIRS }, () => NONE)

  /** @throws {RangeError} for a needle shorter than NEEDLE_CHARS_MIN. */
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

  /** Returns where the first needle may begin, whole or cut by the end. The last two positions always count. */
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

/** Returns the pair's number. Two pairs may share one, which only makes the filter less exact. */
function pairOf(first: number, second: number): number {
  return ((first & CODE_MASK) << CODE_BITS) | (second & CODE_MASK)
}
