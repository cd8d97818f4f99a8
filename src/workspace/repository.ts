import { RunnerError } from '../errors.ts'
import type { WorkspaceFiles } from './files.ts'
import { type Folder, hasErrno } from './folder.ts'
import type { Git, GitCall } from './git.ts'
import { outside, quoted, type WorkspacePath } from './guard.ts'
import { withoutUserInfo } from './repository-url.ts'

export interface RepositoryOptions {
  git: Git
  files: WorkspaceFiles
}

export interface RepositoryStatus {
  initialized: boolean
  hasChanges: boolean
  branch?: string
  remoteUrl?: string
  hasRemote?: boolean
  filesAdded?: number
  filesRemoved?: number
  uncommittedFiles?: number
  totalAdded?: number
  totalRemoved?: number
  modified: string[]
  staged: string[]
  untracked: string[]
}

/** What git writes to or is led by; none of it may be a link out of the workspace. */
const PARTS = [
  'HEAD',
  'config',
  'index',
  'objects',
  'objects/pack',
  'objects/info',
  'refs',
  'refs/heads',
  'refs/remotes',
  'refs/remotes/origin',
  'packed-refs',
  'logs',
  'logs/HEAD',
  'logs/refs/heads',
  'logs/refs/remotes/origin',
]
const POINTER_BYTES_MAX = 8192
const BRANCHES_MAX = 1000
const PATHS_MAX = 1000

/** A repository in the workspace, and so not to be trusted: its settings and folders may have been laid out as a trap. */
export class Repository {
  readonly place: WorkspacePath
  /** `.git`, or what it points to. */
  readonly gitFolder: WorkspacePath
  readonly #git: Git
  readonly #files: WorkspaceFiles

  private constructor(
    options: RepositoryOptions,
    { place, gitFolder }: { place: WorkspacePath; gitFolder: WorkspacePath },
  ) {
    this.#git = options.git
    this.#files = options.files
    this.place = place
    this.gitFolder = gitFolder
  }

  /**
   * Undefined when the folder is none.
   *
   * @throws {RunnerError} `path_outside_workspace` when a part of it lies elsewhere.
   */
  static async open(options: RepositoryOptions, place: WorkspacePath): Promise<Repository | undefined> {
    const gitFolder = await findGitFolder(options.files, place)
    if (gitFolder === undefined) return undefined
    const common = await followPointer(options.files, gitFolder, 'commondir')
    for (const folder of new Set([gitFolder, common ?? gitFolder])) {
      await Promise.all(PARTS.map((part) => options.files.guard.resolve(`${folder}/${part}`)))
    }
    return new Repository(options, { place, gitFolder })
  }

  async status(signal: AbortSignal): Promise<RepositoryStatus> {
    return await this.#within(signal, async (run, tryRun) => {
      const porcelain = await run([
        'status',
        '--porcelain=v1',
        '-z',
        '--ignore-submodules=all',
        '--no-renames',
        '--untracked-files=normal',
        '--',
      ])
      const numbers = await tryRun([
        'diff',
        '--numstat',
        '-z',
        '--no-renames',
        '--no-ext-diff',
        '--no-textconv',
        '--ignore-submodules=all',
        '--end-of-options',
        'HEAD',
        '--',
      ])
      const changes = toChanges(porcelain)
      const lines = toLineCounts(numbers ?? '')
      const { filesRemoved, totalAdded, totalRemoved } = lines
      const filesAdded = lines.filesAdded === 0 && filesRemoved === 0 ? changes.count : lines.filesAdded
      const remoteUrl = await this.#remoteUrl(tryRun)
      return {
        initialized: true,
        hasChanges: filesAdded + filesRemoved + totalAdded + totalRemoved > 0,
        branch: await currentBranch(tryRun),
        remoteUrl,
        hasRemote: remoteUrl !== '',
        filesAdded,
        filesRemoved,
        uncommittedFiles: filesAdded + filesRemoved,
        totalAdded,
        totalRemoved,
        ...changes.lists,
      }
    })
  }

  /** Of the remote, as far as they were fetched. */
  async remoteBranches(signal: AbortSignal): Promise<string[]> {
    return await this.#within(signal, (run) => refNames(run, 'refs/remotes/origin/'))
  }

  async describe(signal: AbortSignal): Promise<{
    url: string
    branches: string[]
    currentActiveBranch: string
    defaultBranch: string
  }> {
    return await this.#within(signal, async (run, tryRun) => {
      const url = await this.#remoteUrl(tryRun)
      const branches = await refNames(run, 'refs/heads/')
      const head = await tryRun(['symbolic-ref', '--quiet', 'refs/remotes/origin/HEAD'])
      const remote = head === undefined ? await refNames(run, 'refs/remotes/origin/') : []
      const defaultBranch =
        head?.trim().replace('refs/remotes/origin/', '') ??
        ['main', 'master', 'develop'].find((name) => remote.includes(name)) ??
        'main'
      const current = await currentBranch(tryRun)
      return {
        url,
        branches,
        currentActiveBranch: current === 'HEAD' || current === '' ? defaultBranch : current,
        defaultBranch,
      }
    })
  }

  async currentBranch(signal: AbortSignal): Promise<string> {
    return await this.#within(signal, (_run, tryRun) => currentBranch(tryRun))
  }

  /** Takes over the branches of a repository on this machine as the remote's. */
  async takeFrom(path: string, signal: AbortSignal): Promise<void> {
    await this.#within(
      signal,
      (run) =>
        run([
          'fetch',
          '--quiet',
          '--no-tags',
          '--no-write-fetch-head',
          '--no-recurse-submodules',
          '--',
          path,
          '+refs/heads/*:refs/remotes/origin/*',
        ]),
      { protocols: ['file'] },
    )
  }

  /** Goes to a branch, made from the remote's or from where it stands when there is none. */
  async switchTo(branch: string, signal: AbortSignal): Promise<void> {
    await this.#within(signal, async (run, tryRun) => {
      const has = async (ref: string): Promise<boolean> =>
        (await tryRun(['show-ref', '--verify', '--quiet', '--', ref])) !== undefined
      if (await has(`refs/heads/${branch}`)) await run(['switch', '--quiet', '--end-of-options', branch])
      else {
        const from = (await has(`refs/remotes/origin/${branch}`)) ? [`refs/remotes/origin/${branch}`] : []
        await run(['switch', '--quiet', '--no-track', `--create=${branch}`, '--end-of-options', ...from])
      }
    })
  }

  async #remoteUrl(tryRun: TryRun): Promise<string> {
    const url = await tryRun(['config', '--local', '--get', 'remote.origin.url'])
    return withoutUserInfo(url?.trim() ?? '')
  }

  async #within<T>(
    signal: AbortSignal,
    work: (run: Run, tryRun: TryRun) => Promise<T>,
    options: Pick<GitCall, 'protocols'> = {},
  ): Promise<T> {
    const folder = await this.#files.guard.openFolder(this.place)
    return await folder.use(async () => {
      const place = [`--git-dir=${this.#files.guard.absolute(this.gitFolder)}`, '--work-tree=.']
      const config = await this.#disarmed(folder, place, signal)
      const call = { ...options, folder, signal, config }
      const all = (args: readonly string[]): string[] => [...place, ...args]
      return await work(
        (args) => this.#git.run(all(args), call),
        async (args) => {
          const { code, stdout } = await this.#git.tryRun(all(args), call)
          return code === 0 ? stdout : undefined
        },
      )
    })
  }

  /** Empties the settings under which a repository names programs to run on files; reading them runs nothing. */
  async #disarmed(
    folder: Folder,
    place: readonly string[],
    signal: AbortSignal,
  ): Promise<[key: string, value: string][]> {
    const pattern = '^(filter|diff|merge)\\..*\\.(clean|smudge|process|required|textconv|command|driver)$'
    const { code, stdout } = await this.#git.tryRun(
      [...place, 'config', '--includes', '--name-only', '--null', '--get-regexp', pattern],
      { folder, signal },
    )
    if (code !== 0) return []
    const keys = new Set(stdout.split('\0').filter((key) => key !== ''))
    return [...keys].map((key) => [key, key.endsWith('.required') ? 'false' : ''])
  }
}

type Run = (args: readonly string[]) => Promise<string>
/** Undefined when git says no. */
type TryRun = (args: readonly string[]) => Promise<string | undefined>

async function findGitFolder(
  files: WorkspaceFiles,
  place: WorkspacePath,
): Promise<WorkspacePath | undefined> {
  const folder = await files.guard.openFolder(place).catch((error: unknown) => {
    if (error instanceof RunnerError && error.code !== 'path_outside_workspace') return undefined
    throw error
  })
  const stats = await folder?.use(() => folder.lstat('.git'))
  if (stats === undefined) return undefined
  const path = `${place}/.git`
  if (stats.isDirectory()) return await files.guard.resolve(path)
  if (!stats.isFile()) throw outside(path)
  // A worktree's, or a submodule's.
  return await followPointer(files, place, '.git')
}

/** A file of git's that names another folder. */
async function followPointer(
  files: WorkspaceFiles,
  folder: WorkspacePath,
  name: string,
): Promise<WorkspacePath | undefined> {
  const path = `${folder}/${name}`
  const text = await files.readText(path, { bytesMax: POINTER_BYTES_MAX }).catch((error: unknown) => {
    if (error instanceof RunnerError && error.code === 'not_found') return undefined
    throw error
  })
  if (text === undefined) return undefined
  const target = text.replace(/^gitdir: /, '').trimEnd()
  if (target.startsWith('/')) return await files.guard.resolve(target)
  // Relative ones climb; what is judged is where they end, and everything on the way is a folder that was proven.
  const names = folder.split('/').filter(Boolean)
  for (const part of target.split('/')) {
    if (part === '..' && names.pop() === undefined) throw outside(path)
    else if (part !== '..' && part !== '.' && part !== '') names.push(part)
  }
  return await files.guard.resolve(names.join('/'))
}

async function currentBranch(tryRun: TryRun): Promise<string> {
  return (await tryRun(['symbolic-ref', '--quiet', '--short', 'HEAD']))?.trim() ?? 'HEAD'
}

async function refNames(run: Run, prefix: string): Promise<string[]> {
  const out = await run(['for-each-ref', `--count=${BRANCHES_MAX}`, '--format=%(refname)', '--', prefix])
  return out
    .split('\n')
    .filter((ref) => ref.startsWith(prefix) && !ref.endsWith('/HEAD'))
    .map((ref) => ref.slice(prefix.length))
}

function toChanges(porcelain: string): {
  count: number
  lists: Pick<RepositoryStatus, 'modified' | 'staged' | 'untracked'>
} {
  const lists = { modified: [] as string[], staged: [] as string[], untracked: [] as string[] }
  const lines = porcelain.split('\0').filter((line) => line !== '')
  for (const line of lines) {
    const path = line.slice(3)
    const into = (list: string[]): void => {
      if (list.length < PATHS_MAX) list.push(path)
    }
    if (line.startsWith('??')) into(lists.untracked)
    else {
      if (line[0] !== ' ') into(lists.staged)
      if (line[1] !== ' ') into(lists.modified)
    }
  }
  return { count: lines.length, lists }
}

function toLineCounts(numstat: string): {
  filesAdded: number
  filesRemoved: number
  totalAdded: number
  totalRemoved: number
} {
  const counts = { filesAdded: 0, filesRemoved: 0, totalAdded: 0, totalRemoved: 0 }
  for (const line of numstat.split('\0')) {
    const [added = 0, removed = 0] = line.split('\t').map((text) => (/^\d+$/.test(text) ? Number(text) : 0))
    counts.totalAdded += added
    counts.totalRemoved += removed
    if (added > 0) counts.filesAdded += 1
    if (removed > 0) counts.filesRemoved += 1
  }
  return counts
}

/** What git says of a folder that holds no repository. */
export const NO_REPOSITORY: RepositoryStatus = {
  initialized: false,
  hasChanges: false,
  modified: [],
  staged: [],
  untracked: [],
}

/** Initializes the folder when it holds none. @throws {RunnerError} `invalid_input` when it is no folder. */
export async function openOrInit(
  options: RepositoryOptions,
  path: string,
  signal: AbortSignal,
): Promise<Repository> {
  const { git, files } = options
  const place = await files.guard.resolve(path)
  const known = await Repository.open(options, place)
  if (known !== undefined) return known
  const folder = await files.guard.openFolder(place).catch((error: unknown) => {
    if (!(error instanceof RunnerError) || error.code !== 'not_found') throw error
    throw new RunnerError('invalid_input', `There is no folder "${quoted(path)}" in the workspace.`)
  })
  await folder.use(() => git.run(['init', '--quiet', '--template=', '--'], { folder, signal }))
  const made = await Repository.open(options, place)
  if (made === undefined) throw new RunnerError('git_failed', 'git made no repository there.')
  return made
}

/** Whether a failure of the file system, or of ours, means that nothing is there. */
export function isMissing(error: unknown): boolean {
  return hasErrno(error, 'ENOENT') || (error instanceof RunnerError && error.code === 'not_found')
}
