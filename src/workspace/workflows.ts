import { RunnerError } from '../errors.ts'
import { unfinishedName, type WorkspaceFiles } from './files.ts'
import { hasErrno } from './folder.ts'
import type { Repositories } from './repositories.ts'
import { isMissing } from './repository.ts'
import type { GitProtocol, GivenTokens } from './repository-url.ts'
import { isBranchName, parseRepositoryName, parseRepositoryUrl } from './repository-url.ts'
import { removeTree } from './tree.ts'

export interface WorkflowsOptions {
  repositories: Repositories
  files: WorkspaceFiles
  protocols: readonly GitProtocol[]
}

export interface WorkflowChoice {
  /** None: the workflow that was active is no more. */
  gitUrl: string
  branch: string
  /** A folder of the repository; all of it when empty. */
  path: string
}

export interface ActiveWorkflow extends WorkflowChoice {
  /** The folder's name in `workflows`; none when no workflow is active. */
  name: string | undefined
}

export const WORKFLOWS_FOLDER = 'workflows'

/** Which workflow is active. Changes are made one after the other. */
export class Workflows {
  readonly #options: WorkflowsOptions
  #active: ActiveWorkflow | undefined
  #changing: Promise<unknown> = Promise.resolve()

  constructor(options: WorkflowsOptions) {
    this.#options = options
  }

  /** Undefined until one was chosen in this process. */
  get active(): ActiveWorkflow | undefined {
    return this.#active
  }

  /**
   * Whether anything changed.
   *
   * @throws {RunnerError} `invalid_input`, `git_failed`, `not_found` for a folder that the repository lacks; then the
   * workflow before stays.
   */
  async change(
    choice: WorkflowChoice,
    request: { tokens: GivenTokens; signal: AbortSignal },
  ): Promise<boolean> {
    const turn = this.#changing.then(() => this.#change(choice, request))
    this.#changing = turn.catch(() => undefined)
    return await turn
  }

  async #change(
    choice: WorkflowChoice,
    { tokens, signal }: { tokens: GivenTokens; signal: AbortSignal },
  ): Promise<boolean> {
    const { gitUrl, branch, path } = choice
    const before = this.#active
    if (before?.gitUrl === gitUrl && before.branch === branch && before.path === path) return false
    if (gitUrl === '') {
      this.#active = { ...choice, name: undefined }
      return true
    }
    if (!isBranchName(branch)) {
      throw new RunnerError('invalid_input', 'The branch is none that git could have.')
    }
    const remote = parseRepositoryUrl(gitUrl, this.#options.protocols)
    const name = parseRepositoryName(remote.name)
    const unfinished = unfinishedName()
    const request = { url: gitUrl, branch, tokens, signal, shallow: true }
    try {
      const { repositories } = this.#options
      await repositories.clone(remote, { ...request, into: WORKFLOWS_FOLDER, name: unfinished })
      await this.#install(unfinished, { name, path, signal })
    } finally {
      await this.#discard(unfinished)
    }
    this.#active = { ...choice, name }
    return true
  }

  /** Puts the clone, or the folder of it, where the workflow before was. */
  async #install(
    unfinished: string,
    { name, path, signal }: { name: string; path: string; signal: AbortSignal },
  ): Promise<void> {
    const { guard } = this.#options.files
    const clone = await guard.resolve(`${WORKFLOWS_FOLDER}/${unfinished}`)
    const wanted = await guard.resolve(`${clone}/${path}`)
    // A link of the repository's may lead to somebody else's folder in the workspace.
    if (wanted !== clone && !wanted.startsWith(`${clone}/`)) {
      throw new RunnerError('path_outside_workspace', 'The workflow is not in its own repository.')
    }
    await (await guard.openFolder(wanted)).close()
    const entry = await guard.resolveEntry(wanted)
    const source = await guard.openFolder(entry.folder)
    await source.use(async () => {
      const target = await guard.openFolder(await guard.resolve(WORKFLOWS_FOLDER))
      await target.use(async () => {
        // Two steps of the file system apart, not a clone's length.
        const before = unfinishedName()
        await target.rename(name, target, before).catch((error: unknown) => {
          if (!hasErrno(error, 'ENOENT')) throw error
        })
        await source.rename(entry.name, target, name)
        await removeTree(target, before, { signal })
      })
    })
  }

  async #discard(unfinished: string): Promise<void> {
    const { guard } = this.#options.files
    try {
      const folder = await guard.openFolder(await guard.resolve(WORKFLOWS_FOLDER))
      await folder.use(() => removeTree(folder, unfinished, { signal: new AbortController().signal }))
    } catch (error) {
      // Nothing was made.
      if (!isMissing(error)) throw error
    }
  }
}
