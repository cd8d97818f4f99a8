import { RunnerError } from '../errors.ts'
import type { Folder } from './folder.ts'
import type { Git } from './git.ts'
import type { Repository } from './repository.ts'
import type { Credential, RepositoryUrl } from './repository-url.ts'
import {
  BRANCHES,
  branchOf,
  isObjectId,
  type ObjectFormat,
  type Pin,
  type Revision,
  refsOf,
  unknownRevision,
} from './revision.ts'
import { withScratch } from './scratch-folder.ts'

export interface RemoteOptions {
  git: Git
  url: RepositoryUrl
  credential: Credential | undefined
  signal: AbortSignal
}

export interface Found {
  /** Undefined when the remote has no ref of that name. */
  revision: Revision | undefined
  /** The hash format of the remote's object ids. */
  format: ObjectFormat
}

export interface FetchOptions {
  format: ObjectFormat
  /** Whether to leave out the history. */
  shallow?: boolean | undefined
}

/** A remote repository, for the length of one request. Every method throws `git_failed` when git fails. */
export class Remote {
  readonly #options: RemoteOptions

  constructor(options: RemoteOptions) {
    this.#options = options
  }

  /** The URL, without credentials. */
  get url(): string {
    return this.#options.url.url
  }

  /** Looks up a branch, tag or ref. A full commit id is accepted as it is, because servers do not list commits. */
  async find(name: string): Promise<Found> {
    const refs = refsOf(name)
    const listed = await withScratch((_path, folder) =>
      // Git gets no repository, so that no settings around the scratch folder apply.
      this.#ask(folder, ['--git-dir=/nonexistent', 'ls-remote', '--quiet', '--', this.url, 'HEAD', ...refs]),
    )
    const ids = new Map(
      listed.split('\n').map((line) => {
        const [id = '', ref = ''] = line.split('\t')
        return [ref, id]
      }),
    )
    const format = [...ids.values()].some(({ length }) => length === 64) ? 'sha256' : 'sha1'
    return { revision: pick(name, refs, ids), format }
  }

  /** Clones into a new folder in `folder`. With a tag or a commit as revision nothing is checked out yet. */
  async clone(
    folder: Folder,
    name: string,
    { revision, shallow }: { revision: Revision | undefined; shallow?: boolean | undefined },
  ): Promise<void> {
    const options = ['--quiet', '--template=', '--no-recurse-submodules', ...(shallow ? ['--depth=1'] : [])]
    // A branch is checked out by the clone, anything else later by `goTo`.
    if (revision !== undefined) {
      options.push('branch' in revision ? `--branch=${revision.branch}` : '--no-checkout')
    }
    await this.#ask(folder, ['clone', ...options, '--', this.url, name])
  }

  /** Brings a clone to the revision. @throws {RunnerError} `not_found` when neither remote nor clone has it. */
  async bring(repository: Repository, name: string): Promise<void> {
    const { signal } = this.#options
    const branch = branchOf(name)
    if (branch !== undefined && (await isOn(repository, branch, signal))) return
    const { revision, format } = await this.find(name)
    if (revision !== undefined) await this.goTo(repository, revision, { format })
    else if (branch !== undefined && (await repository.has(`${BRANCHES}${branch}`, signal))) {
      // The branch was made in the clone.
      await repository.switchTo(branch, signal)
    } else throw unknownRevision(name)
  }

  /** Checks out a revision, fetched if needed. @throws {RunnerError} `not_found` when the server lacks the commit. */
  async goTo(repository: Repository, revision: Revision, options: FetchOptions): Promise<void> {
    const { signal } = this.#options
    if ('branch' in revision) {
      await this.fetchInto(repository, revision, options)
      await repository.switchTo(revision.branch, signal)
      return
    }
    if (!(await repository.hasCommit(revision.id, signal))) {
      await this.fetchInto(repository, revision, options).catch((error: unknown) => {
        throw isUnknownCommit(error) ? unknownRevision(revision.id) : error
      })
      // A tag may point to a tree or a blob.
      if (!(await repository.hasCommit(revision.id, signal))) throw unknownRevision(revision.id)
    }
    await repository.detachAt(revision.id, signal)
  }

  /**
   * Fetches a branch (all branches when none is named) or a commit into a repository of the workspace. The git process
   * with the credential works in an empty repository of its own, whose settings nobody else wrote. A second process
   * without the credential then takes the objects over.
   */
  async fetchInto(
    repository: Repository,
    what: { branch: string | undefined } | Pin,
    { format, shallow }: FetchOptions,
  ): Promise<void> {
    const { git, signal } = this.#options
    const { from, take } = await refspecsFor(what, repository, signal)
    await withScratch(async (path, folder) => {
      const objects = format === 'sha1' ? [] : [`--object-format=${format}`]
      await git.run(['init', '--quiet', '--bare', '--template=', ...objects, '--', '.'], { folder, signal })
      const options = ['--quiet', '--no-tags', '--no-recurse-submodules', ...(shallow ? ['--depth=1'] : [])]
      await this.#ask(folder, ['--git-dir=.', 'fetch', ...options, '--', this.url, from])
      await repository.takeFrom(path, take, signal)
    })
  }

  async #ask(folder: Folder, args: readonly string[]): Promise<string> {
    const { git, credential, signal } = this.#options
    // A setting for the exact URL wins over settings for a shorter part of it.
    const config: [string, string][] = [[`http.${this.url}.sslVerify`, 'true']]
    return await git.run(args, { folder, signal, credential, config })
  }
}

function pick(name: string, refs: readonly string[], ids: ReadonlyMap<string, string>): Revision | undefined {
  if (isObjectId(name)) {
    const id = name.toLowerCase()
    return { source: id, id }
  }
  const ref = refs.find((known) => ids.has(known))
  if (ref === undefined) return undefined
  if (ref.startsWith(BRANCHES)) return { branch: ref.slice(BRANCHES.length) }
  return { source: ref, id: ids.get(ref) ?? '' }
}

async function refspecsFor(
  what: { branch: string | undefined } | Pin,
  repository: Repository,
  signal: AbortSignal,
): Promise<{ from: string; take: string }> {
  if (!('source' in what)) {
    const which = `${BRANCHES}${what.branch ?? '*'}`
    return { from: `+${which}:${which}`, take: '+refs/heads/*:refs/remotes/origin/*' }
  }
  const { source } = what
  // A tag keeps its name, unless the repository already has a tag of that name.
  const isNewTag = source.startsWith('refs/tags/') && !(await repository.has(source, signal))
  return { from: `+${source}:refs/pin/it`, take: isNewTag ? `refs/pin/it:${source}` : 'refs/pin/it' }
}

/** Whether the branch is checked out and known to be the remote's. Otherwise the name may be a tag there. */
async function isOn(repository: Repository, branch: string, signal: AbortSignal): Promise<boolean> {
  const head = await repository.head(signal)
  if (head.isDetached || head.branch !== branch) return false
  return await repository.has(`refs/remotes/origin/${branch}`, signal)
}

function isUnknownCommit(error: unknown): boolean {
  return (
    error instanceof RunnerError &&
    error.code === 'git_failed' &&
    /not our ref|couldn't find remote ref/.test(error.message)
  )
}
