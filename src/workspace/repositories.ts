import { RunnerError } from '../errors.ts'
import { unfinishedName, type WorkspaceFiles } from './files.ts'
import { type Folder, hasErrno } from './folder.ts'
import type { Git } from './git.ts'
import { fetchInto, networkSettings, setOrigin } from './remote.ts'
import { isMissing, NO_REPOSITORY, openOrInit, Repository, type RepositoryStatus } from './repository.ts'
import {
  credentialFor,
  type GivenTokens,
  isBranchName,
  parseRepositoryName,
  parseRepositoryUrl,
  type RepositoryUrl,
  type TokenHosts,
} from './repository-url.ts'
import { giveTree, removeTree } from './tree.ts'

export interface RepositoriesOptions {
  git: Git
  files: WorkspaceFiles
  tokenHosts: TokenHosts
}

export interface RemoteRequest {
  url: string
  branch: string | undefined
  tokens: GivenTokens
  signal: AbortSignal
}

export interface AddedRepository {
  name: string
  /** Absolute. */
  path: string
  newlyCloned: boolean
}

export interface RepositoryDescription {
  url: string
  name: string
  branches: string[]
  currentActiveBranch: string
  defaultBranch: string
}

/** Where clones lie in the workspace. */
const REPOS_FOLDER = 'repos'
const REPOS_MAX = 200

/** The repositories of the workspace, driven by `git` itself. */
export class Repositories {
  readonly #options: RepositoriesOptions

  constructor(options: RepositoriesOptions) {
    this.#options = options
  }

  /**
   * Clones into `repos/<name>`. One that is there is brought to the branch instead, or kept as it is.
   *
   * @throws {RunnerError} `invalid_input`, `path_outside_workspace`, `git_failed`.
   */
  async add(request: RemoteRequest & { name: string | undefined; keep?: boolean }): Promise<AddedRepository> {
    const { guard } = this.#options.files
    const remote = this.#parseRemote(request)
    const name = parseRepositoryName(request.name ?? remote.name)
    const place = await guard.resolve(`${REPOS_FOLDER}/${name}`)
    const known = await Repository.open(this.#options, place)
    const added = { name, path: guard.absolute(place) }
    if (known !== undefined) {
      if (request.keep !== true) await this.#bring(known, remote, request)
      return { ...added, newlyCloned: false }
    }
    const newlyCloned = await this.clone(remote, { ...request, into: REPOS_FOLDER, name })
    return { ...added, newlyCloned }
  }

  /** The URL and the branch, looked at before anything is done. @throws {RunnerError} `invalid_input`. */
  #parseRemote({ url, branch }: RemoteRequest): RepositoryUrl {
    if (branch !== undefined && !isBranchName(branch)) {
      throw new RunnerError('invalid_input', 'The branch is none that git could have.')
    }
    return parseRepositoryUrl(url, this.#options.git.protocols)
  }

  /** Whether it is the name of what is cloned now; `false` when somebody else put one there first. */
  async clone(
    remote: RepositoryUrl,
    request: RemoteRequest & { into: string; name: string; shallow?: boolean },
  ): Promise<boolean> {
    const { guard } = this.#options.files
    const folder = await guard.openFolder(await guard.resolve(request.into), { create: true })
    return await folder.use(async () => {
      const unfinished = unfinishedName()
      try {
        await this.#download(folder, unfinished, { ...request, remote })
        await addHooksFolder(folder, unfinished)
        const owner = await guard.foreignOwner()
        if (owner !== undefined) await giveTree(folder, unfinished, owner)
        await folder.rename(unfinished, folder, request.name)
        return true
      } catch (error) {
        await removeTree(folder, unfinished, { signal: NEVER })
        if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error
        const place = await guard.resolve(`${request.into}/${request.name}`)
        if ((await Repository.open(this.#options, place)) !== undefined) return false
        throw new RunnerError('invalid_input', `"${request.name}" is there and is no repository.`)
      }
    })
  }

  /** Idempotent. @throws {RunnerError} `path_outside_workspace`, `invalid_input`. */
  async remove(name: string, signal: AbortSignal): Promise<void> {
    const { guard } = this.#options.files
    const entry = await guard.resolveEntry(`${REPOS_FOLDER}/${parseRepositoryName(name)}`)
    try {
      const folder = await guard.openFolder(entry.folder)
      await folder.use(() => removeTree(folder, entry.name, { signal }))
    } catch (error) {
      if (!isMissing(error)) throw error
    }
  }

  async list(signal: AbortSignal): Promise<RepositoryDescription[]> {
    const listed: RepositoryDescription[] = []
    for (const name of await this.#names()) {
      try {
        const place = await this.#options.files.guard.resolve(`${REPOS_FOLDER}/${name}`)
        const repository = await Repository.open(this.#options, place)
        if (repository !== undefined) listed.push({ name, ...(await repository.describe(signal)) })
      } catch (error) {
        // One that is broken or leads elsewhere hides itself, not the others.
        if (!(error instanceof RunnerError)) throw error
      }
    }
    return listed
  }

  async status(path: string, signal: AbortSignal): Promise<RepositoryStatus> {
    const place = await this.#options.files.guard.resolve(path)
    const repository = await Repository.open(this.#options, place)
    return repository === undefined ? NO_REPOSITORY : await repository.status(signal)
  }

  /** @throws {RunnerError} `not_found` when no repository is there. */
  async branches(path: string, signal: AbortSignal): Promise<string[]> {
    const place = await this.#options.files.guard.resolve(path)
    const repository = await Repository.open(this.#options, place)
    if (repository === undefined) {
      throw new RunnerError('not_found', 'There is no git repository in that folder.')
    }
    return await repository.remoteBranches(signal)
  }

  /** Returns the remote as it was set, and why it could not be fetched, if so. */
  async configureRemote(
    path: string,
    request: RemoteRequest,
  ): Promise<{ url: string; problem: string | undefined }> {
    const remote = this.#parseRemote(request)
    const repository = await openOrInit(this.#options, path, request.signal)
    await setOrigin(repository, this.#options, { url: remote.url, signal: request.signal })
    try {
      await this.#fetch(repository, remote, request)
      return { url: remote.url, problem: undefined }
    } catch (error) {
      if (!(error instanceof RunnerError) || error.code !== 'git_failed') throw error
      return { url: remote.url, problem: error.message }
    }
  }

  async #names(): Promise<string[]> {
    try {
      const { entries } = await this.#options.files.list(REPOS_FOLDER)
      return entries
        .filter(({ isDir }) => isDir)
        .slice(0, REPOS_MAX)
        .map(({ name }) => name)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  async #bring(repository: Repository, remote: RepositoryUrl, request: RemoteRequest): Promise<void> {
    const { branch, signal } = request
    if (branch === undefined || (await repository.currentBranch(signal)) === branch) return
    try {
      await this.#fetch(repository, remote, request)
    } catch (error) {
      // The branch may be a new one.
      if (!isUnknownBranch(error)) throw error
    }
    await repository.switchTo(branch, signal)
  }

  async #fetch(repository: Repository, remote: RepositoryUrl, request: RemoteRequest): Promise<void> {
    const { branch, tokens, signal } = request
    const credential = credentialFor(remote, tokens, this.#options.tokenHosts)
    await fetchInto(repository, this.#options.git, { remote, branch, credential, signal })
  }

  /** The branch, or when the remote has none of that name a new one from its default. */
  async #download(
    folder: Folder,
    name: string,
    { remote, branch, tokens, signal, shallow }: RemoteRequest & { remote: RepositoryUrl; shallow?: boolean },
  ): Promise<void> {
    const { git, tokenHosts } = this.#options
    const credential = credentialFor(remote, tokens, tokenHosts)
    const call = { folder, signal, credential, config: networkSettings(remote) }
    const options = ['--quiet', '--template=', '--no-recurse-submodules', ...(shallow ? ['--depth=1'] : [])]
    const clone = (...more: string[]): Promise<string> =>
      git.run(['clone', ...options, ...more, '--', remote.url, name], call)
    if (branch === undefined) {
      await clone()
      return
    }
    try {
      await clone(`--branch=${branch}`)
    } catch (error) {
      if (!isUnknownBranch(error)) throw error
      await removeTree(folder, name, { signal })
      await clone()
      const cloned = await folder.openFolder(name)
      await cloned.use(() =>
        git.run(['switch', '--quiet', '--no-track', `--create=${branch}`], { folder: cloned, signal }),
      )
    }
  }
}

/** Empty, but there: local enforcement protects what is there (docs/enforcement.md). */
async function addHooksFolder(parent: Folder, name: string): Promise<void> {
  const clone = await parent.openFolder(name)
  const git = await clone.use(() => clone.openFolder('.git'))
  await git.use(() => git.makeFolder('hooks'))
}

/** Clearing up goes on when the client has left. */
const NEVER = new AbortController().signal

function isUnknownBranch(error: unknown): boolean {
  return (
    error instanceof RunnerError &&
    error.code === 'git_failed' &&
    /Remote branch .* not found|couldn't find remote ref/.test(error.message)
  )
}
