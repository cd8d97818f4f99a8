import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { error, setSecret, warning } from '@actions/core'
import { SECRET_CHARS_MIN } from '../redaction/encoded-forms.ts'

/**
 * Has GitHub's runner mask the secrets in all later output: whole, each line of them, and as in a Basic header. They are
 * shown without the blanks around them, which a pasted secret often has.
 */
export function mask(secrets: readonly string[]): void {
  const forms = secrets
    .map((secret) => secret.trim())
    .filter((secret) => secret !== '')
    .flatMap((secret) => [
      secret,
      ...secret.split(/\s*(?:[\r\n]|\\[rn])+\s*/),
      Buffer.from(`x-access-token:${secret}`).toString('base64'),
    ])
  for (const form of new Set(forms)) if (form.length >= SECRET_CHARS_MIN) setSecret(form)
}

/** Writes the step's error annotation, as one line because GitHub shows no more. */
export function annotate(title: string, message: string): void {
  error(message.replace(/\s+/g, ' '), { title: `agui-runner: ${title}` })
}

/** Writes a warning annotation. */
export function warn(title: string, message: string): void {
  warning(message, { title: `agui-runner: ${title}` })
}

/**
 * The log of a step while foreign text is written to it. GitHub's runner executes lines such as `::set-output::`. From
 * construction to `end` it executes only one line, which holds a random token.
 */
export class ForeignWords {
  readonly #token = randomUUID()
  readonly #copy: WriteStream
  #isAtStart = true
  #isEnded = false
  #problem: Error | undefined

  /** Copies the text to `file`, mode 0600. */
  constructor(file: string) {
    this.#copy = createWriteStream(file, { mode: 0o600 })
    this.#copy.on('error', (problem) => {
      this.#problem ??= problem
    })
    process.stdout.write(`::stop-commands::${this.#token}\n`)
  }

  /** Waits for a slow reader. Text after `end` is dropped, because its commands would be executed. */
  async write(text: string): Promise<void> {
    if (text === '' || this.#isEnded) return
    this.#isAtStart = text.endsWith('\n')
    this.#copy.write(text)
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  }

  /** Writes a line of its own without waiting. */
  line(text: string): void {
    this.write(`${this.#isAtStart ? '' : '\n'}${text}\n`).catch(() => undefined)
  }

  /** Enables commands again. @returns why the file is incomplete, if it is. */
  async end(): Promise<Error | undefined> {
    this.#isEnded = true
    process.stdout.write(`${this.#isAtStart ? '' : '\n'}::${this.#token}::\n`)
    if (this.#problem === undefined) await new Promise<void>((resolve) => this.#copy.end(resolve))
    return this.#problem
  }
}
