import { Candidate, Tail } from './candidate.ts'
import { ROOT } from './needle-tree.ts'
import type { Needles } from './needles.ts'
import { RecentText } from './recent-text.ts'
import { RedactedText } from './redacted-text.ts'
import { SpacedSearch } from './spaced-search.ts'

/** Characters to look at before a token: an escape may stand there, whose last letter belongs to no word. */
const CONTEXT_CHARS = 16
const ESCAPE_CHARACTER = String.fromCharCode(0x1b)
const BEFORE_WORD = new RegExp(
  String.raw`(?:^|[^A-Za-z0-9_]|\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}` +
    String.raw`|(?:${ESCAPE_CHARACTER}|\\u001b|\\x1b|\\e|\\033)\[[0-9;]*[A-Za-z])$`,
)
/** An unfinished JSON escape at the end of a text, when the backslash is not escaped itself. */
const OPEN_ESCAPE = /(?<=(?:^|[^\\])(?:\\\\)*)\\(u[0-9a-fA-F]{0,3})?$/
const UNICODE_ESCAPE_CHARS = 4

/**
 * Removes the secrets from one text that arrives and leaves in pieces. The output does not depend on the cuts: every
 * decision is made character by character, and text that may still become a secret is held back.
 */
export class TextStream {
  readonly #needles: Needles
  readonly #out = new RedactedText()
  /** The held-back text, and some text in front of it. */
  readonly #recent: RecentText
  /** Open candidates, at most one of each form: a younger one would be a part of the older. */
  #candidates: Candidate[] = []
  readonly #spaced: SpacedSearch
  #tails: Tail[] = []
  #isFollowing = false
  #state = ROOT

  constructor(needles: Needles) {
    this.#needles = needles
    this.#recent = new RecentText(CONTEXT_CHARS + needles.prefixCharsMax)
    this.#spaced = new SpacedSearch(needles.spaced, (start, end) => this.#cut(start, end))
  }

  push(piece: string): string {
    const first = this.#position
    const state = this.#isFollowing || !this.#out.isWhole ? undefined : this.#quietState(piece)
    this.#recent.add(piece)
    this.#state = state ?? this.#search(piece, first)
    this.#spaced.push(piece, first)
    const end = this.#heldFrom()
    if (!this.#out.isWhole || this.#out.position !== first || end !== this.#position) return this.#take(end)
    // By far the most frequent case: nothing is found and nothing is held back.
    this.#out.pass(end)
    this.#recent.forget(end)
    return piece
  }

  /** Ends the text. Held-back text is judged as it is. */
  flush(): string {
    const end = this.#position
    for (const candidate of this.#candidates) {
      if (candidate.isWhole) this.#cutToken(candidate, end)
    }
    const cut = this.#needles.tree.cut(this.#state)
    if (cut > 0) this.#cut(end - cut, end)
    this.#spaced.flush()
    this.#candidates = []
    this.#tails = []
    this.#isFollowing = false
    this.#state = ROOT
    return this.#take(end)
  }

  get #position(): number {
    return this.#recent.end
  }

  get heldChars(): number {
    return this.#position - this.#out.position
  }

  /** Returns the state after a piece without any needle, and undefined when there may be one. */
  #quietState(piece: string): number | undefined {
    const { tree, filter } = this.#needles
    let state = this.#state
    let index = 0
    // First a needle that began before the piece, then those that begin in it.
    for (; index < piece.length && tree.depth(state) > index; index++) {
      state = tree.next(state, piece.charCodeAt(index))
      if (tree.isHit(state)) return undefined
    }
    if (index === piece.length) return state
    state = ROOT
    for (index = filter.firstIn(piece); index < piece.length; index++) {
      state = tree.next(state, piece.charCodeAt(index))
      if (tree.isHit(state)) return undefined
    }
    return state
  }

  /** Searches character by character. Returns the state after the piece. */
  #search(piece: string, first: number): number {
    const { tree } = this.#needles
    let state = this.#state
    for (let index = 0; index < piece.length; index++) {
      const code = piece.charCodeAt(index)
      if (this.#isFollowing) this.#follow(code, first + index)
      state = tree.next(state, code)
      if (tree.isHit(state)) this.#found(tree.ending(state), first + index + 1)
    }
    return state
  }

  #follow(code: number, position: number): void {
    if (this.#tails.length > 0) {
      this.#tails = this.#tails.filter((tail) => tail.take(code))
      // A tail that ended after a backslash took the first half of an escape.
      const isCut = this.#tails.length > 0 || this.#openEscape(position) !== null
      if (isCut) this.#out.cut(position, position + 1)
    }
    const open: Candidate[] = []
    for (const candidate of this.#candidates) {
      const verdict = candidate.take(code, position)
      if (verdict === 'open') open.push(candidate)
      else if (verdict === 'token')
        this.#cutToken(candidate, candidate.form.isExact ? position : position + 1)
    }
    this.#candidates = open
    this.#isFollowing = open.length > 0 || this.#tails.length > 0
  }

  #found(ending: number, end: number): void {
    const { tree, forms } = this.#needles
    for (let state = ending; state !== ROOT; state = tree.shorter(state)) {
      const start = end - tree.depth(state)
      if (tree.isSecret(state)) this.#cut(start, end)
      const form = forms[tree.form(state)]
      if (form === undefined || this.#candidates.some((candidate) => candidate.form === form)) continue
      if (form.startsWord && !this.#startsWord(start)) continue
      this.#candidates.push(new Candidate(form, { prefixAt: start, at: end }))
      this.#isFollowing = true
    }
  }

  #cutToken({ form, prefixAt, secretAt }: Candidate, end: number): void {
    if (secretAt === undefined) return
    if (form.check !== undefined && !form.check(this.#recent.slice(prefixAt, end))) return
    this.#cut(secretAt, form.context?.keepsLast ? end - 1 : end)
    this.#tails = this.#tails.filter((tail) => tail.form !== form)
    if (form.tail.length > 0) this.#tails.push(new Tail(form))
  }

  /** Cuts a span. A marker never lies inside an escape, so that JSON stays JSON. */
  #cut(start: number, end: number): void {
    const open = this.#openEscape(start)
    const from = open === null ? start : start + this.#escapeChars(start, open[1])
    if (from < end) this.#out.cut(from, end)
  }

  #openEscape(at: number): RegExpExecArray | null {
    return OPEN_ESCAPE.exec(this.#recent.slice(at - CONTEXT_CHARS, at))
  }

  /** Returns the number of characters at `start` that belong to the escape. */
  #escapeChars(start: number, unicode: string | undefined): number {
    if (unicode !== undefined) return UNICODE_ESCAPE_CHARS + 1 - unicode.length
    return this.#recent.slice(start, start + 1) === 'u' ? UNICODE_ESCAPE_CHARS + 1 : 1
  }

  #startsWord(start: number): boolean {
    // Reading the text would join its pieces each time.
    if (isAfterWord(this.#recent.lastCodeAt(start - 2), this.#recent.lastCodeAt(start - 1))) return false
    return BEFORE_WORD.test(this.#recent.slice(start - CONTEXT_CHARS, start))
  }

  /** Returns the position of the first character that may still belong to a secret. */
  #heldFrom(): number {
    const { tree } = this.#needles
    let from = this.#spaced.heldFrom(this.#position)
    if (this.#isFollowing) {
      for (const { secretAt } of this.#candidates) from = Math.min(from, secretAt ?? from)
    }
    for (let state = this.#state; state !== ROOT; state = tree.fail(state)) {
      const start = this.#position - tree.depth(state)
      if (start >= from) break
      if (tree.waits(state) || (tree.waitsAtWord(state) && this.#startsWord(start))) {
        from = start
        break
      }
    }
    // The two halves of a character stay together.
    const isHalf = isHighSurrogate(this.#recent.lastCodeAt(this.#position - 1))
    return isHalf ? Math.min(from, this.#position - 1) : from
  }

  #take(end: number): string {
    const out = this.#out.take(end, this.#recent)
    this.#recent.forget(end)
    return out
  }
}

/** Whether the text ends in a letter that does not end an escape. It nearly always does. */
function isAfterWord(before: number, letter: number): boolean {
  if (!isLetter(letter)) return false
  if (isLetter(before)) return !(isHex(before) && isHex(letter))
  return before === BLANK
}

const BLANK = 0x20

function isLetter(code: number): boolean {
  const small = code | 0x20
  return small >= 0x61 && small <= 0x7a
}

/** Whether a letter is a hexadecimal digit. */
function isHex(code: number): boolean {
  return (code | 0x20) <= 0x66
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}
