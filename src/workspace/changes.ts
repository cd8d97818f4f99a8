import { RunnerError } from '../errors.ts'
import type { WorkspaceFiles } from './files.ts'
import { below } from './git-folder.ts'
import { quoted } from './guard.ts'
import type { Repositories } from './repositories.ts'
import { isMissing } from './repository.ts'
import type { FileChange } from './repository-changes.ts'
import { SHOWN_BYTES_MAX, toShownText } from './shown-text.ts'

/** A repository and the files that differ from its HEAD. */
export interface RepositoryChanges {
  /** The path from the root of the workspace; `''` is the workspace itself. */
  repository: string
  /** The branch checked out; `HEAD` when there is none. */
  branch: string
  files: FileChange[]
  /** Whether there are more than `FILES_MAX` files. */
  truncated: boolean
}

/** A file's text in HEAD and now. A side that does not exist is absent. */
export interface ChangedTexts {
  before?: string
  after?: string
}

/** Upper bound of files listed for one repository. */
const FILES_MAX = 1000

/** The differences between the workspace and git's HEAD, to show them to a person. */
export class WorkspaceChanges {
  readonly #repositories: Repositories
  readonly #files: WorkspaceFiles

  constructor({ repositories, files }: { repositories: Repositories; files: WorkspaceFiles }) {
    this.#repositories = repositories
    this.#files = files
  }

  /** Returns every readable repository, also those without a change. @throws {RunnerError} `git_failed`. */
  async list(signal: AbortSignal): Promise<RepositoryChanges[]> {
    const { guard } = this.#files
    const root = await guard.resolve('')
    const listed: RepositoryChanges[] = []
    for (const { place, repository } of await this.#repositories.all()) {
      const { branch, files } = await repository.changes(signal)
      const isHidden = ({ path }: FileChange): boolean =>
        place === '' && guard.isHidden({ folder: root, name: path.split('/')[0] ?? '' })
      const shown = files.filter((file) => !isHidden(file))
      const truncated = shown.length > FILES_MAX
      listed.push({ repository: place, branch, files: shown.slice(0, FILES_MAX), truncated })
    }
    return listed
  }

  /**
   * Returns a file of a repository as it is in HEAD and as it is now.
   *
   * @throws {RunnerError} `not_found`; `too_large`; `path_outside_workspace`; `git_failed`; `invalid_input` for a file
   * that is no text, a folder or a link.
   */
  async file(place: string, path: string, signal: AbortSignal): Promise<ChangedTexts> {
    const now = await this.#now(place, path)
    const repository = await this.#repositories.find(place)
    const head = await repository?.atHead(path, SHOWN_BYTES_MAX, signal)
    if (repository === undefined || (head === undefined && now === undefined))
      throw new RunnerError('not_found', `There is no "${quoted(path)}" in that repository.`)
    return {
      ...(head === undefined ? {} : { before: toShownText(head, path) }),
      ...(now === undefined ? {} : { after: toShownText(now, path) }),
    }
  }

  async #now(place: string, path: string): Promise<Buffer | undefined> {
    const { guard } = this.#files
    const entry = await guard.resolveEntry(place === '' ? path : `${place}/${path}`)
    try {
      const stats = await (await guard.openFolder(entry.folder)).use((folder) => folder.lstat(entry.name))
      if (stats?.isSymbolicLink())
        throw new RunnerError('invalid_input', `"${quoted(path)}" is a link; look at what it leads to.`)
      return await this.#files.readBytes(below(entry.folder, entry.name), { bytesMax: SHOWN_BYTES_MAX })
    } catch (error) {
      if (isMissing(error)) return undefined
      throw error
    }
  }
}
