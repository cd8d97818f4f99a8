import { Candidate, Tail } from './candidate.ts'
import { ROOT } from './needle-tree.ts'
import type { Needles } from './needles.ts'
import { RedactedText } from './redacted-text.ts'

/** What stands in front of a token may be an escape, whose last letter belongs to no word. */
const CONTEXT_CHARS = 16
/** Cutting off what is not needed any more is dearer than keeping this much of it. */
const KEPT_CHARS = 1024
const ESCAPE_CHARACTER = String.fromCharCode(0x1b)
const BEFORE_WORD = new RegExp(
  String.raw`(?:^|[^A-Za-z0-9_]|\\[nrtbf]|\\u[0-9a-fA-F]{4}|%[0-9A-Fa-f]{2}` +
    String.raw`|(?:${ESCAPE_CHARACTER}|\\u001b|\\x1b|\\e|\\033)\[[0-9;]*[A-Za-z])$`,
)
/** An escape of JSON that the next character belongs to, when the backslash is not escaped itself. */
const OPEN_ESCAPE = /(?<=(?:^|[^\\])(?:\\\\)*)\\(u[0-9a-fA-F]{0,3})?$/
const UNICODE_ESCAPE_CHARS = 4

/**
 * One text without its secrets, given and taken in pieces. What comes out does not depend on how the text was cut:
 * every decision is made character by character, and what may still become a secret waits for it.
 */
export class TextStream {
  readonly #needles: Needles
  readonly #lookBackChars: number
  readonly #out = new RedactedText()
  /** Candidates that wait, at most one of each form: a younger one would be a part of the older. */
  #candidates: Candidate[] = []
  #tails: Tail[] = []
  #isFollowing = false
  #state = ROOT
  /** What waits, and what stands in front of it; its first character has the position `#base`. */
  #text = ''
  #base = 0
  #position = 0

  constructor(needles: Needles) {
    this.#needles = needles
    this.#lookBackChars = CONTEXT_CHARS + needles.prefixCharsMax
  }

  push(piece: string): string {
    const { tree } = this.#needles
    const first = this.#position
    const wasWaiting = this.#out.position !== first
    this.#text += piece
    let state = this.#state
    for (let index = 0; index < piece.length; index++) {
      const code = piece.charCodeAt(index)
      if (this.#isFollowing) this.#follow(code, first + index)
      state = tree.next(state, code)
      if (tree.isHit(state)) this.#found(tree.ending(state), first + index + 1)
    }
    this.#state = state
    this.#position += piece.length
    const end = this.#heldFrom(piece)
    if (wasWaiting || end !== this.#position || !this.#out.isWhole) return this.#take(end)
    // The most frequent case by far.
    this.#out.pass(end)
    if (piece.length >= this.#lookBackChars) {
      this.#text = piece
      this.#base = first
    } else if (this.#text.length > KEPT_CHARS) this.#forget(end)
    return piece
  }

  /** The end of the text: what waits is judged by what there is. */
  flush(): string {
    const end = this.#position
    for (const candidate of this.#candidates) {
      if (candidate.isWhole) this.#cutToken(candidate, end)
    }
    const cut = this.#needles.tree.cut(this.#state)
    if (cut > 0) this.#cut(end - cut, end)
    this.#candidates = []
    this.#tails = []
    this.#isFollowing = false
    this.#state = ROOT
    return this.#take(end)
  }

  get heldChars(): number {
    return this.#position - this.#out.position
  }

  #follow(code: number, position: number): void {
    if (this.#tails.length > 0) {
      this.#tails = this.#tails.filter((tail) => tail.take(code))
      // A tail that ended behind a backslash took one half of an escape.
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
    if (form.check !== undefined && !form.check(this.#slice(prefixAt, end))) return
    this.#cut(secretAt, form.context?.keepsLast ? end - 1 : end)
    this.#tails = this.#tails.filter((tail) => tail.form !== form)
    if (form.tail.length > 0) this.#tails.push(new Tail(form))
  }

  /** A marker never stands inside an escape, so JSON stays JSON. */
  #cut(start: number, end: number): void {
    const open = this.#openEscape(start)
    const from = open === null ? start : start + this.#escapeChars(start, open[1])
    if (from < end) this.#out.cut(from, end)
  }

  #openEscape(at: number): RegExpExecArray | null {
    return OPEN_ESCAPE.exec(this.#slice(at - CONTEXT_CHARS, at))
  }

  /** Characters at `start` that belong to the escape. */
  #escapeChars(start: number, unicode: string | undefined): number {
    if (unicode !== undefined) return UNICODE_ESCAPE_CHARS + 1 - unicode.length
    return this.#slice(start, start + 1) === 'u' ? UNICODE_ESCAPE_CHARS + 1 : 1
  }

  #startsWord(start: number): boolean {
    return BEFORE_WORD.test(this.#slice(start - CONTEXT_CHARS, start))
  }

  #slice(start: number, end: number): string {
    return this.#text.slice(Math.max(start - this.#base, 0), Math.max(end - this.#base, 0))
  }

  /** The first character that may still belong to a secret. */
  #heldFrom(piece: string): number {
    const { tree } = this.#needles
    let from = this.#position
    for (const { secretAt } of this.#candidates) from = Math.min(from, secretAt ?? from)
    for (let state = this.#state; state !== ROOT; state = tree.fail(state)) {
      const start = this.#position - tree.depth(state)
      if (start >= from) break
      if (tree.waits(state) || (tree.waitsAtWord(state) && this.#startsWord(start))) {
        from = start
        break
      }
    }
    // Half a character goes with its other half.
    const isHalf = isHighSurrogate(piece.charCodeAt(piece.length - 1))
    return isHalf ? Math.min(from, this.#position - 1) : from
  }

  #take(end: number): string {
    const out = this.#out.take(end, { text: this.#text, base: this.#base })
    this.#forget(end)
    return out
  }

  /** What was given out is kept only as far as what comes may look back at it. */
  #forget(end: number): void {
    const from = Math.max(end - this.#lookBackChars, this.#base)
    this.#text = this.#text.slice(from - this.#base)
    this.#base = from
  }
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}
