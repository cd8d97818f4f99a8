// Cleans up what was made inside when a run or a process has ended (docs/enforcement.md).
import { join } from 'node:path'
import { shapeOf } from './freeze.ts'
import { type KnownRepositories, readKnown, writeKnown } from './known-repositories.ts'
import { repositoriesOf } from './protect.ts'
import { setAside } from './set-aside.ts'

interface AftermathOptions {
  workspace: string
  /** Path of the file in which the known repositories outlive the runner. */
  file: string
  /** Called with the paths that were renamed and the links that were restored. */
  onSetAside(renamed: readonly string[]): void
}

export class Aftermath {
  readonly #options: AftermathOptions
  #known: KnownRepositories | undefined
  #isAtWork: boolean

  constructor(options: AftermathOptions) {
    this.#options = options
    const last = readKnown(options.file, options.workspace)
    this.#known = last?.known
    this.#isAtWork = last?.isAtWork === true
  }

  /** Finishes the cleanup of a runner that was killed. */
  async recover(): Promise<void> {
    if (this.#isAtWork) await this.finish()
  }

  /** Repositories that were made while something ran inside, as found by the last `begin` or `settle`. */
  get strange(): Iterable<string> {
    return this.#known?.strange ?? []
  }

  /**
   * Records the repositories found before a start as known. Beside a running process, a repository that was not known
   * before counts as strange, because that process may have made it.
   *
   * @throws {Error} when the record cannot be written; then nothing may start.
   */
  begin(found: KnownRepositories): void {
    const known = this.#isAtWork && this.#known !== undefined ? foundBeside(found, this.#known) : found
    this.#known = known
    this.#isAtWork = true
    writeKnown(this.#options.file, { known, isAtWork: true })
  }

  /** Sets aside what was made inside. Call when a run has ended, and before a start beside a running process. */
  async settle(): Promise<void> {
    if (this.#known === undefined) return
    const { workspace, onSetAside } = this.#options
    const renamed = await setAside(this.#known)
    if (renamed.length > 0) onSetAside(renamed)
    const { worktrees, strange } = this.#known
    const isThere = (path: string): boolean => shapeOf(join(path, '.git')) !== 'absent'
    const made = repositoriesOf(workspace).filter((path) => !worktrees.has(path))
    this.#known = { ...this.#known, strange: new Set([...[...strange].filter(isThere), ...made]) }
  }

  /** Settles, and records that nothing runs. Call when nothing runs inside any more. */
  async finish(): Promise<void> {
    await this.settle()
    this.#isAtWork = false
    this.#write()
  }

  #write(): void {
    if (this.#known === undefined) return
    try {
      writeKnown(this.#options.file, { known: this.#known, isAtWork: this.#isAtWork })
    } catch {
      // The disk may be full; then the next runner cleans up again.
    }
  }
}

function foundBeside(found: KnownRepositories, before: KnownRepositories): KnownRepositories {
  const isNew = (path: string): boolean => !before.worktrees.has(path)
  return {
    ...found,
    strange: new Set([...found.strange, ...[...found.worktrees].filter(isNew)]),
    thawed: new Set([...before.thawed, ...found.thawed]),
    unread: new Set([...found.unread].filter((path) => before.unread.has(path))),
    links: before.links,
  }
}
