// What becomes of what was made inside, when a run or a process has ended (docs/enforcement.md).
import { join } from 'node:path'
import { shapeOf } from './freeze.ts'
import { type KnownRepositories, readKnown, writeKnown } from './known-repositories.ts'
import { repositoriesOf } from './protect.ts'
import { setAside } from './set-aside.ts'

interface AftermathOptions {
  workspace: string
  /** Where what is known outlives the runner. */
  file: string
  /** Called with the paths that were renamed, and the links that were put back. */
  onSetAside(renamed: readonly string[]): void
}

export class Aftermath {
  readonly #options: AftermathOptions
  #known: KnownRepositories | undefined
  #isAtWork = false

  /** Finishes what a runner that was killed could not. */
  constructor(options: AftermathOptions) {
    this.#options = options
    const last = readKnown(options.file, options.workspace)
    this.#known = last?.known
    if (last?.isAtWork === true) this.finish()
  }

  /** Repositories that were made while something ran inside, whose end has been seen. */
  get strange(): Iterable<string> {
    return this.#known?.strange ?? []
  }

  /**
   * Call before something starts: what is found then is known.
   *
   * @throws {Error} it cannot be written down; then nothing may start.
   */
  begin(known: KnownRepositories): void {
    this.#known = known
    this.#isAtWork = true
    writeKnown(this.#options.file, { known, isAtWork: true })
  }

  /** Call when a run has ended, and before something starts beside what runs. */
  settle(): void {
    if (this.#known === undefined) return
    const { workspace, onSetAside } = this.#options
    const renamed = setAside(this.#known)
    if (renamed.length > 0) onSetAside(renamed)
    const { worktrees, strange } = this.#known
    const isThere = (path: string): boolean => shapeOf(join(path, '.git')) !== 'absent'
    const made = repositoriesOf(workspace).filter((path) => !worktrees.has(path))
    this.#known = { ...this.#known, strange: new Set([...[...strange].filter(isThere), ...made]) }
  }

  /** Call when nothing runs inside any more. */
  finish(): void {
    this.settle()
    this.#isAtWork = false
    this.#write()
  }

  #write(): void {
    if (this.#known === undefined) return
    try {
      writeKnown(this.#options.file, { known: this.#known, isAtWork: this.#isAtWork })
    } catch {
      // A full disk: then the next runner does this again.
    }
  }
}
