import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { createWriteStream, type WriteStream } from 'node:fs'
import { error, setSecret, warning } from '@actions/core'
import { SECRET_CHARS_MIN } from '../redaction/encoded-forms.ts'

/** Nothing that is printed afterwards shows it: neither whole, nor a line of it, nor as a Basic header holds it. */
export function mask(secrets: readonly string[]): void {
  const forms = secrets
    .filter((secret) => secret !== '')
    .flatMap((secret) => [
      secret,
      ...secret.split(/\r?\n|\\n/),
      Buffer.from(`x-access-token:${secret}`).toString('base64'),
    ])
  for (const form of new Set(forms)) if (form.length >= SECRET_CHARS_MIN) setSecret(form)
}

/** What is wrong, as the one annotation of this step: a line, for GitHub shows no more of it. */
export function annotate(title: string, message: string): void {
  error(message.replace(/\s+/g, ' '), { title: `agui-runner: ${title}` })
}

/** Beside what is wrong, or where nothing is. */
export function warn(title: string, message: string): void {
  warning(message, { title: `agui-runner: ${title}` })
}

/**
 * The log of a step while others' words are in it. GitHub's runner obeys lines such as `::set-output::`; between these two
 * it obeys one line alone, which nobody can guess.
 */
export class ForeignWords {
  readonly #token = randomUUID()
  readonly #copy: WriteStream
  #isAtStart = true
  #isEnded = false
  #problem: Error | undefined

  /** What is written is also in that file, mode 0600. */
  constructor(file: string) {
    this.#copy = createWriteStream(file, { mode: 0o600 })
    this.#copy.on('error', (problem) => {
      this.#problem ??= problem
    })
    process.stdout.write(`::stop-commands::${this.#token}\n`)
  }

  /** Waits for a slow reader. What comes after the end is lost: it would be obeyed. */
  async write(text: string): Promise<void> {
    if (text === '' || this.#isEnded) return
    this.#isAtStart = text.endsWith('\n')
    this.#copy.write(text)
    if (!process.stdout.write(text)) await once(process.stdout, 'drain')
  }

  /** The same from the start of a line, and not waited for. */
  line(text: string): void {
    this.write(`${this.#isAtStart ? '' : '\n'}${text}\n`).catch(() => undefined)
  }

  /** Commands count again. @returns why the file has not everything. */
  async end(): Promise<Error | undefined> {
    this.#isEnded = true
    process.stdout.write(`${this.#isAtStart ? '' : '\n'}::${this.#token}::\n`)
    if (this.#problem === undefined) await new Promise<void>((resolve) => this.#copy.end(resolve))
    return this.#problem
  }
}
