import { isIn } from './character-class.ts'
import type { FormStep, TokenForm } from './token-forms.ts'

/** The state of a candidate after its next character. */
export type Verdict = 'open' | 'token' | 'none'

/** A place where the literal prefix of a token form was seen. It is fed the following characters and decides. */
export class Candidate {
  readonly form: TokenForm
  readonly #prefixAt: number
  /** The position of the secret's first character; undefined while only its context was seen. */
  #secretAt: number | undefined
  #step = 0
  #count = 0

  constructor(form: TokenForm, place: { prefixAt: number; at: number }) {
    this.form = form
    this.#prefixAt = place.prefixAt
    if (form.context === undefined) this.#secretAt = place.prefixAt
    else if (form.context.secretFrom === 0) this.#secretAt = place.at
  }

  get prefixAt(): number {
    return this.#prefixAt
  }

  get secretAt(): number | undefined {
    return this.#secretAt
  }

  /** Takes the character at `position`. The verdict `token` includes this character, unless the form is exact. */
  take(code: number, position: number): Verdict {
    const { steps, context, isExact } = this.form
    for (let step = steps[this.#step]; step !== undefined; step = steps[this.#step]) {
      if (this.#count < step.max && isIn(step.characters, code)) {
        this.#count += 1
        return isExact !== true && this.#isLast && this.#count >= step.min ? 'token' : 'open'
      }
      if (this.#count < step.min) return 'none'
      if (this.#isLast) {
        return isExact === true && !isIn(step.characters, code) && !isWord(code) ? 'token' : 'none'
      }
      this.#step += 1
      this.#count = 0
      if (this.#step === context?.secretFrom) this.#secretAt = position
    }
    return 'none'
  }

  /** Whether the candidate is a token if the text ends here. */
  get isWhole(): boolean {
    return this.form.isExact === true && this.#isLast && this.#count === this.form.steps.at(-1)?.min
  }

  get #isLast(): boolean {
    return this.#step === this.form.steps.length - 1
  }
}

/** The characters that still belong to a token after it was recognized. */
export class Tail {
  readonly form: TokenForm
  #step = 0
  #count = 0

  constructor(form: TokenForm) {
    this.form = form
  }

  take(code: number): boolean {
    for (let step = this.#current; step !== undefined; step = this.#current) {
      if (this.#count < step.max && isIn(step.characters, code)) {
        this.#count += 1
        return true
      }
      this.#step += 1
      this.#count = 0
    }
    return false
  }

  get #current(): FormStep | undefined {
    return this.form.tail[this.#step]
  }
}

function isWord(code: number): boolean {
  const isDigit = code >= 0x30 && code <= 0x39
  const isLetter = (code >= 0x41 && code <= 0x5a) || (code >= 0x61 && code <= 0x7a)
  return isDigit || isLetter || code === 0x5f
}
