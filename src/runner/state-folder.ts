import { statSync } from 'node:fs'
import { access, constants } from 'node:fs/promises'
import { RunnerError } from '../errors.ts'

/** How often the folder is checked. File system events do not cover every way in which it can be lost. */
const LOOK_MS = 1000

/** The paths that stay open, relative to the state folder; first the folder itself. Only it exists without LMDB. */
const IN_USE = ['', '/store', '/store/log.mdb']

/**
 * Watches that the state folder and its store stay the ones that were opened. When they are removed or replaced, the
 * store still writes to the unlinked files, and everything from then on is lost with the process.
 */
export class StateFolder {
  readonly #directory: string
  readonly #opened = new Map<string, string>()
  #timer: NodeJS.Timeout | undefined

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Starts to watch. Call it once the store is open. Calls `onLost` once, when either is removed or replaced. */
  watch(onLost: (error: RunnerError) => void): void {
    for (const name of IN_USE) {
      const path = `${this.#directory}${name}`
      this.#opened.set(path, identityOf(path))
    }
    this.#timer = setInterval(() => {
      try {
        this.#checkSame()
      } catch (error) {
        // A file system that fails for a moment is no loss. The store itself reports failed writes.
        if (!(error instanceof RunnerError)) return
        this.close()
        onLost(error)
      }
    }, LOOK_MS).unref()
  }

  /** Checks once. @throws {RunnerError} `internal` when removed or replaced; the system's error when not writable. */
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

/** Returns device and inode, which differ for another file in the same place, and '' when there is none. */
function identityOf(path: string): string {
  const stat = statSync(path, { throwIfNoEntry: false })
  return stat === undefined ? '' : `${stat.dev}:${stat.ino}`
}
