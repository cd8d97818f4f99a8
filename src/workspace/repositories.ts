import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { unfinishedName, type WorkspaceFiles } from './files.ts'
import type { Folder } from './folder.ts'
import type { Git } from './git.ts'
import { quoted, splitPath, type WorkspacePath } from './guard.ts'
import { openWithOrigin } from './new-repository.ts'
import { Remote } from './remote.ts'
import { type Head, isMissing, Repository } from './repository.ts'
import { NO_REPOSITORY, type RepositoryStatus } from './repository-status.ts'
import {
  credentialFor,
  type GivenTokens,
  isSameRepository,
  parseRepositoryName,
  parseRepositoryUrl,
  type RepositoryUrl,
  type TokenHosts,
} from './repository-url.ts'
import { type ObjectFormat, parseRevisionName, unknownRevision } from './revision.ts'
import { giveTree, removeTree } from './tree.ts'

export interface RepositoriesOptions {
  git: Git
  files: WorkspaceFiles
  tokenHosts: TokenHosts
}

export interface RemoteRequest {
  url: string
  /** A branch, a tag, a full ref name or a full commit id; the remote's default when undefined. */
  branch: string | undefined
  tokens: GivenTokens
  signal: AbortSignal
}

export interface AddedRepository {
  name: string
  /** The absolute path of its folder. */
  path: string
  newlyCloned: boolean
  head: Head
  /** Differences from the request that the user should know, as sentences. */
  problems: string[]
}

/** The result of a clone. */
export interface Clone {
  head: Head
  /** The folders of its submodules, which stay empty. */
  submodules: string[]
}

export interface RepositoryDescription {
  url: string
  name: string
  branches: string[]
  /** The branch checked out; `HEAD`, as in git, when there is none. */
  currentActiveBranch: string
  defaultBranch: string
  detached?: true
  commit?: string | undefined
}

/** The folder of the workspace that holds the clones. */
const REPOS_FOLDER = 'repos'
const REPOS_MAX = 200

/** The repositories of the workspace, operated with the `git` program. */
export class Repositories {
  readonly #options: RepositoriesOptions

  constructor(options: RepositoriesOptions) {
    this.#options = options
  }

  /**
   * Clones into `repos/<name>`. A clone that is already there is brought to the revision instead, or left as it is when
   * `keep` is set or no branch is given.
   *
   * @throws {RunnerError} `invalid_input`, also when another repository is there; `not_found` for a revision that the
   * remote lacks; `path_outside_workspace`, `git_failed`.
   */
  async add(request: RemoteRequest & { name: string | undefined; keep?: boolean }): Promise<AddedRepository> {
    const { guard } = this.#options.files
    const { signal } = request
    const name = parseRepositoryName(request.name ?? this.#parse(request).name)
    const place = await guard.resolve(`${REPOS_FOLDER}/${name}`)
    const added = { name, path: guard.absolute(place) }
    for (;;) {
      const known = await Repository.open(this.#options, place)
      if (known !== undefined) {
        const problems = await this.#useKnown(known, { ...request, name })
        const empty = emptySubmodules(await this.#emptyFolders(known, signal))
        const head = await known.head(signal)
        return { ...added, newlyCloned: false, head, problems: [...problems, ...empty] }
      }
      const cloned = await this.clone({ ...request, into: REPOS_FOLDER, name })
      if (cloned !== undefined) {
        const { head, submodules } = cloned
        return { ...added, newlyCloned: true, head, problems: emptySubmodules(submodules) }
      }
    }
  }

  /** Brings an existing clone to the revision, or leaves it. Returns the differences from the request. */
  async #useKnown(
    repository: Repository,
    request: RemoteRequest & { name: string; keep?: boolean },
  ): Promise<string[]> {
    const { name, branch, signal, keep } = request
    const remote = this.#remote(request)
    const origin = await repository.origin(signal)
    if (!isSameRepository(origin, remote.url)) {
      const what = origin === '' ? 'a repository without an origin' : `a clone of ${origin}`
      const say = `"${REPOS_FOLDER}/${name}" is ${what}; give this one another name, or remove that one first.`
      throw new RunnerError('invalid_input', say)
    }
    if (branch === undefined) return []
    if (keep === true) {
      if (await repository.answersTo(branch, signal)) return []
      return [`It was there before and is kept as it is, which is not at "${branch}".`]
    }
    await remote.bring(repository, branch)
    const { folder, name: entry } = splitPath(repository.place)
    const parent = await this.#options.files.guard.openFolder(folder)
    await parent.use(() => this.#give(parent, entry))
    return []
  }

  /** Validates a request before anything is done. @throws {RunnerError} `invalid_input`. */
  #parse({ url, branch }: RemoteRequest): RepositoryUrl {
    if (branch !== undefined) parseRevisionName(branch)
    return parseRepositoryUrl(url, this.#options.git.protocols)
  }

  #remote(request: RemoteRequest): Remote {
    const { git, tokenHosts } = this.#options
    const url = this.#parse(request)
    const credential = credentialFor(url, request.tokens, tokenHosts)
    return new Remote({ git, url, credential, signal: request.signal })
  }

  /**
   * Clones into `<into>/<name>`. Returns undefined when another process put a repository there first.
   *
   * @throws {RunnerError} as `add`.
   */
  async clone(
    request: RemoteRequest & { into: string; name: string; shallow?: boolean },
  ): Promise<Clone | undefined> {
    const { guard } = this.#options.files
    const remote = this.#remote(request)
    const into = await guard.resolve(request.into)
    const folder = await guard.openFolder(into, { create: true })
    return await folder.use(async () => {
      const unfinished = unfinishedName()
      try {
        const cloned = await this.#download(remote, { folder, into, name: unfinished }, request)
        await addHooksFolder(folder, unfinished)
        await this.#give(folder, unfinished)
        await folder.rename(unfinished, folder, request.name)
        return cloned
      } catch (error) {
        await removeTree(folder, unfinished, { signal: NEVER })
        if (!hasErrno(error, 'ENOTEMPTY', 'EEXIST', 'ENOTDIR')) throw error
        if ((await this.find(`${request.into}/${request.name}`)) !== undefined) return undefined
        throw new RunnerError('invalid_input', `"${request.name}" is there and is no repository.`)
      }
    })
  }

  /** Returns the repository in a folder of the workspace, if any. @throws {RunnerError} `path_outside_workspace`. */
  async find(path: string): Promise<Repository | undefined> {
    return await Repository.open(this.#options, await this.#options.files.guard.resolve(path))
  }

  /** Removes `repos/<name>`; safe to call twice. @throws {RunnerError} `path_outside_workspace`, `invalid_input`. */
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
    for (const name of await this.#names(REPOS_FOLDER)) {
      try {
        const repository = await this.find(`${REPOS_FOLDER}/${name}`)
        if (repository !== undefined) listed.push({ name, ...(await repository.describe(signal)) })
      } catch (error) {
        // A repository that is broken or leads elsewhere is left out; the others are still listed.
        if (!(error instanceof RunnerError)) throw error
      }
    }
    return listed
  }

  /**
   * Returns the workspace's own repository, if any, those directly below it, which an agent makes, and the clones. Leaves
   * out those that are broken or outside.
   */
  async all(): Promise<{ place: string; repository: Repository }[]> {
    const [made, clones] = await Promise.all([this.#names(''), this.#names(REPOS_FOLDER)])
    const places = ['', ...made, ...clones.map((name) => `${REPOS_FOLDER}/${name}`)]
    const found = await Promise.all(
      places.map(async (place) => {
        const repository = await this.find(place).catch((error: unknown) => {
          if (error instanceof RunnerError) return undefined
          throw error
        })
        return repository === undefined ? [] : [{ place, repository }]
      }),
    )
    return found.flat()
  }

  async status(path: string, signal: AbortSignal): Promise<RepositoryStatus> {
    const repository = await this.find(path)
    return repository === undefined ? NO_REPOSITORY : await repository.status(signal)
  }

  /** Returns the fetched branches of the remote. @throws {RunnerError} `not_found` when no repository is there. */
  async branches(path: string, signal: AbortSignal): Promise<string[]> {
    const repository = await this.find(path)
    if (repository === undefined) {
      throw new RunnerError('not_found', 'There is no git repository in that folder.')
    }
    return await repository.remoteBranches(signal)
  }

  /** Sets `origin`, in a new repository if needed, and fetches. Returns the URL and the reason of a failed fetch. */
  async configureRemote(
    path: string,
    request: RemoteRequest,
  ): Promise<{ url: string; problem: string | undefined }> {
    const remote = this.#remote(request)
    const { url } = remote
    const { signal } = request
    const { found, format, problem } = await findBranch(remote, request.branch)
    const repository = await openWithOrigin(this.#options, path, { url, format, signal })
    if (found === undefined) return { url, problem }
    try {
      await remote.fetchInto(repository, found, { format })
      return { url, problem: undefined }
    } catch (error) {
      return { url, problem: toProblem(error) }
    }
  }

  async #names(folder: string): Promise<string[]> {
    try {
      const { entries } = await this.#options.files.list(folder)
      return entries
        .filter(({ isDir }) => isDir)
        .slice(0, REPOS_MAX)
        .map(({ name }) => name)
    } catch (error) {
      if (isMissing(error)) return []
      throw error
    }
  }

  async #download(
    remote: Remote,
    { folder, into, name }: { folder: Folder; into: WorkspacePath; name: string },
    { branch, shallow, signal }: RemoteRequest & { shallow?: boolean },
  ): Promise<Clone> {
    const found = branch === undefined ? undefined : await remote.find(branch)
    if (branch !== undefined && found?.revision === undefined) throw unknownRevision(branch)
    await remote.clone(folder, name, { revision: found?.revision, shallow })
    const cloned = await this.find(`${into}/${name}`)
    if (cloned === undefined) throw new RunnerError('git_failed', 'git made no repository there.')
    if (found?.revision !== undefined && !('branch' in found.revision)) {
      await remote.goTo(cloned, found.revision, { format: found.format, shallow })
    }
    return { head: await cloned.head(signal), submodules: await cloned.submodules(signal) }
  }

  /** Gives an entry with its contents to the workspace's owner, when a root runner works for another user. */
  async #give(parent: Folder, name: string): Promise<void> {
    const owner = await this.#options.files.guard.foreignOwner()
    if (owner !== undefined) await giveTree(parent, name, owner)
  }

  /** Returns the submodule folders that are empty. */
  async #emptyFolders(repository: Repository, signal: AbortSignal): Promise<string[]> {
    const empty: string[] = []
    for (const path of await repository.submodules(signal)) {
      const entries = await this.#options.files.list(`${repository.place}/${path}`).then(
        (listing) => listing.entries,
        () => [],
      )
      if (entries.length === 0) empty.push(path)
    }
    return empty
  }
}

/** Reports submodules that are left empty. They are not fetched, because they may be on any host. */
export function emptySubmodules(paths: readonly string[]): string[] {
  if (paths.length === 0) return []
  return [`Submodules are not fetched; these folders are empty: ${paths.map(quoted).join(', ')}.`]
}

/** Makes an empty `.git/hooks`, so that local enforcement finds a folder to protect (docs/enforcement.md). */
async function addHooksFolder(parent: Folder, name: string): Promise<void> {
  const clone = await parent.openFolder(name)
  const git = await clone.use(() => clone.openFolder('.git'))
  await git.use(() => git.makeFolder('hooks'))
}

/** A signal that is never aborted: cleaning up goes on when the client has left. */
const NEVER = new AbortController().signal

/** Returns the branch to fetch, or why none can be fetched: a remote may be set before it can be reached. */
async function findBranch(
  remote: Remote,
  branch: string | undefined,
): Promise<{ found?: { branch: string | undefined }; format: ObjectFormat; problem?: string }> {
  try {
    const { revision, format } = await remote.find(branch ?? 'HEAD')
    if (branch === undefined) return { found: { branch }, format }
    if (revision === undefined) return { problem: unknownRevision(branch).message, format }
    if ('branch' in revision) return { found: revision, format }
    return { problem: `"${quoted(branch)}" is no branch of the remote.`, format }
  } catch (error) {
    return { problem: toProblem(error), format: 'sha1' }
  }
}

/** Returns the message of a git failure; throws any other error again. */
function toProblem(error: unknown): string {
  if (error instanceof RunnerError && error.code === 'git_failed') return error.message
  throw error
}
