/** A text to search for: one form of a known secret, or the literal prefix of a token form. */
export interface Needle {
  text: string
  /** Index of the token form with this prefix; absent for a known secret. */
  form?: number
  /** When the needle's beginning is held back: always, only at the start of a word, or never. */
  waits: 'always' | 'at-word' | 'never'
}

export const ROOT = 0
/** Shortest beginning of a known secret that counts at the end of a text; it must also be half of the secret. */
const CUT_CHARS_MIN = 16

const ASCII = 128
const ROWS_MAX = 128

/** Flag: a known secret ends in this state. */
const SECRET = 1
/** Flag: the beginning of a known secret ends here, long enough to be redacted at the end of the text. */
const CUT = 2
/** Flags: a needle that is held back leads through this state, always or at the start of a word. */
const WAITS = 4
const WAITS_AT_WORD = 8

/**
 * An Aho-Corasick automaton: it finds every needle in one pass, whatever their number. Children are chains of siblings,
 * because after its first characters a secret has one way on. A table of transitions would take megabytes.
 */
export class NeedleTree {
  readonly longest: number
  readonly #code: number[] = [0]
  readonly #firstChild: number[] = [0]
  readonly #sibling: number[] = [0]
  readonly #fail: number[] = [0]
  readonly #depth: number[] = [0]
  /** By state: the next state along `#fail` at which a needle ends. */
  readonly #ending: number[] = [0]
  readonly #form: number[] = [-1]
  readonly #flags: number[] = [0]
  /** Full transition rows of the states nearest to the root, where nearly all text stays. */
  readonly #rows: Int32Array
  readonly #rowOf: Int32Array
  readonly #isHit: Uint8Array

  constructor(needles: readonly Needle[]) {
    for (const needle of needles) this.#insert(needle)
    const byDepth = this.#link()
    this.longest = at(this.#depth, byDepth.at(-1) ?? ROOT)
    this.#isHit = Uint8Array.from(byDepth, (_, state) => (this.ending(state) === ROOT ? 0 : 1))
    this.#rowOf = new Int32Array(byDepth.length).fill(-1)
    const near = byDepth.slice(0, ROWS_MAX)
    this.#rows = Int32Array.from({ length: near.length * ASCII }, (_, index) =>
      this.#follow(at(near, Math.floor(index / ASCII)), index % ASCII),
    )
    for (const [row, state] of near.entries()) this.#rowOf[state] = row
  }

  next(from: number, code: number): number {
    const row = this.#rowOf[from] ?? -1
    return row >= 0 && code < ASCII ? (this.#rows[row * ASCII + code] ?? ROOT) : this.#follow(from, code)
  }

  /** Whether a needle ends in this state. */
  isHit(state: number): boolean {
    return this.#isHit[state] === 1
  }

  #follow(from: number, code: number): number {
    let state = from
    while (state !== ROOT) {
      const child = this.#child(state, code)
      if (child !== ROOT) return child
      state = at(this.#fail, state)
    }
    return this.#child(ROOT, code)
  }

  /** Returns the state of the longest needle that ends here, or ROOT. */
  ending(state: number): number {
    return this.form(state) !== -1 || this.isSecret(state) ? state : at(this.#ending, state)
  }

  /** Returns the state of the next shorter needle that ends here, or ROOT. */
  shorter(state: number): number {
    return at(this.#ending, state)
  }

  /** Returns the characters of the needle, or of its beginning, that were seen. */
  depth(state: number): number {
    return at(this.#depth, state)
  }

  isSecret(state: number): boolean {
    return (at(this.#flags, state) & SECRET) !== 0
  }

  /** Returns the index of the token form, or -1. */
  form(state: number): number {
    return this.#form[state] ?? -1
  }

  fail(state: number): number {
    return at(this.#fail, state)
  }

  /** Whether the seen text must be held back until more text decides. */
  waits(state: number): boolean {
    return (at(this.#flags, state) & WAITS) !== 0
  }

  waitsAtWord(state: number): boolean {
    return (at(this.#flags, state) & WAITS_AT_WORD) !== 0
  }

  /** Returns the length of a known secret's beginning that a text's end cuts off here, or 0. */
  cut(state: number): number {
    for (let shorter = state; shorter !== ROOT; shorter = at(this.#fail, shorter)) {
      if ((at(this.#flags, shorter) & CUT) !== 0) return at(this.#depth, shorter)
    }
    return 0
  }

  #child(state: number, code: number): number {
    let child = at(this.#firstChild, state)
    while (child !== ROOT && this.#code[child] !== code) child = at(this.#sibling, child)
    return child
  }

  #insert({ text, form, waits }: Needle): void {
    const cutFrom = Math.max(CUT_CHARS_MIN, text.length / 2)
    let state = ROOT
    for (let index = 0; index < text.length; index++) {
      const code = text.charCodeAt(index)
      state = this.#child(state, code) || this.#add(state, code)
      const isCut = form === undefined && index + 1 >= cutFrom
      const isLast = index === text.length - 1
      const flag = isLast || waits === 'never' ? 0 : waits === 'always' ? WAITS : WAITS_AT_WORD
      this.#flags[state] = at(this.#flags, state) | flag | (isCut ? CUT : 0)
    }
    if (state === ROOT) return
    if (form === undefined) this.#flags[state] = at(this.#flags, state) | SECRET
    else this.#form[state] = form
  }

  #add(parent: number, code: number): number {
    const state = this.#code.push(code) - 1
    this.#sibling.push(at(this.#firstChild, parent))
    this.#firstChild[parent] = state
    this.#firstChild.push(ROOT)
    this.#fail.push(ROOT)
    this.#depth.push(at(this.#depth, parent) + 1)
    this.#ending.push(ROOT)
    this.#form.push(-1)
    this.#flags.push(0)
    return state
  }

  /** Links the states breadth first: a fallback is shorter and so already linked. Returns the states in that order. */
  #link(): number[] {
    const queue = [ROOT]
    for (const parent of queue) {
      for (let child = at(this.#firstChild, parent); child !== ROOT; child = at(this.#sibling, child)) {
        queue.push(child)
        if (parent === ROOT) continue
        const code = at(this.#code, child)
        let fail = at(this.#fail, parent)
        while (fail !== ROOT && this.#child(fail, code) === ROOT) fail = at(this.#fail, fail)
        this.#fail[child] = this.#child(fail, code)
        this.#ending[child] = this.ending(at(this.#fail, child))
      }
    }
    return queue
  }
}

function at(table: readonly number[], index: number): number {
  return table[index] ?? ROOT
}
