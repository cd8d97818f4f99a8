import { statSync } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { RunnerError } from '../errors.ts'

/** How often the folder is looked at; a folder has no event for everything that can befall it. */
const LOOK_MS = 1000

/** What is open in it all the time, below it; the folder itself first. Without the embedded store that is all. */
const IN_USE = ['', '/store', '/store/log.mdb']

/**
 * The state folder and the store in it stay the ones that were opened. When they are removed, or others stand in their
 * place, the store goes on in files without a name: everything sent from then on is lost with the process.
 */
export class StateFolder {
  readonly #directory: string
  readonly #opened = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Call when the store is open. Calls `onLost` once, when the folder or the store is gone or replaced. */
  watch(onLost: (error: RunnerError) => void): void {
    for (const name of IN_USE) {
      const path = `${this.#directory}${name}`
      this.#opened.set(path, identityOf(path))
    }
    this.#timer = setInterval(() => {
      try {
        this.#checkSame()
      } catch (error) {
        // A file system that fails for a moment is no loss; the store reports when it cannot write.
        if (!(error instanceof RunnerError)) return
        this.close()
        onLost(error)
      }
    }, LOOK_MS).unref()
  }

  /** @throws {RunnerError} when it is gone or replaced; the system's error when it cannot be written. */
  async check(): Promise<void> {
    this.#checkSame()
    await access(this.#directory, constants.W_OK)
  }

  close(): void {
    clearInterval(this.#timer)
  }

  #checkSame(): void {
    for (const [path, identity] of this.#opened) {
      if (identityOf(path) === identity) continue
      throw new RunnerError(
        'internal',
        `RUNNER_STATE_DIR (${this.#directory}) was removed or replaced while the runner worked on it (${path} is gone, or another one): nothing more can be kept. Start the runner again.`,
      )
    }
  }
}

/** Differs for another file in the same place; empty for none. */
function identityOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`
}
