import { once } from 'node:events'
import { type FileHandle, open } from 'node:fs/promises'
import type { Writable } from 'node:stream'
import type { LogRecord } from '@agui-runner/client'
import { toLine } from '../agui/json-line.ts'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'

/** An output stream whose reader may be slow or leave. */
export class Output {
  readonly #stream: Writable
  #isLost = false
  #problem: string | undefined

  /** Calls `onLost` once: with the reason when writing fails, without one when the reader has left (`| head`). */
  constructor(stream: Writable, onLost: (problem: string | undefined) => void) {
    this.#stream = stream
    stream.on('error', (error) => {
      if (this.#isLost) return
      this.#isLost = true
      if (!hasErrno(error, 'EPIPE')) this.#problem = toMessage(error)
      onLost(this.#problem)
    })
  }

  /** The reason why the output is incomplete although its reader is there. */
  get problem(): string | undefined {
    return this.#problem
  }

  /** Waits for a slow reader. */
  async write(text: string): Promise<void> {
    if (this.#isLost || text === '' || this.#stream.write(text)) return
    await once(this.#stream, 'drain').catch(() => {
      // The reader left, and `onLost` was called.
    })
  }

  /** Resolves when everything is written to the system. */
  async flush(): Promise<void> {
    if (!this.#isLost) await new Promise((resolve) => this.#stream.write('', resolve))
  }
}

/** The run's events as NDJSON: one line `{seq, event}` as soon as the event is read. */
export class EventsFile {
  readonly #file: FileHandle
  #problem: string | undefined

  private constructor(file: FileHandle) {
    this.#file = file
  }

  /** Creates the file, mode 0600. @throws {RunnerError} `config_invalid` when it cannot be written. */
  static async open(path: string): Promise<EventsFile> {
    try {
      return new EventsFile(await open(path, 'w', 0o600))
    } catch (error) {
      throw new RunnerError('config_invalid', `--events cannot be written: ${toMessage(error)}.`)
    }
  }

  /** The reason why the file is incomplete. The run goes on without it. */
  get problem(): string | undefined {
    return this.#problem
  }

  async write({ seq, event }: LogRecord): Promise<void> {
    if (this.#problem !== undefined) return
    try {
      await this.#file.appendFile(`${toLine(JSON.stringify({ seq, event }))}\n`)
    } catch (error) {
      this.#problem = toMessage(error)
    }
  }

  async close(): Promise<void> {
    try {
      await this.#file.close()
    } catch (error) {
      this.#problem ??= toMessage(error)
    }
  }
}
