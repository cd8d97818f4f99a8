import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import type { WorkspaceFiles } from './files.ts'
import type { Folder } from './folder.ts'
import type { Git, GitCall, GitResult } from './git.ts'
import { below, findGitFolder, followPointer } from './git-folder.ts'
import type { WorkspacePath } from './guard.ts'
import { type FileChange, toFileChanges } from './repository-changes.ts'
import { type RepositoryStatus, toChanges, toLineCounts } from './repository-status.ts'
import { withoutUserInfo } from './repository-url.ts'
import { branchOf, isObjectId, refsOf } from './revision.ts'
import { tooLarge } from './shown-text.ts'

export interface RepositoryOptions {
  git: Git
  files: WorkspaceFiles
}

/** The revision that is checked out. */
export interface Head {
  /** The branch checked out; `HEAD`, as in git, when there is none. */
  branch: string
  /** The id of the commit; undefined in a repository without a commit. */
  commit: string | undefined
  isDetached: boolean
}

/** Paths that git reads or writes in its folder. None of them may be a link out of the workspace. */
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
const STATUS = ['status', '--porcelain=v1', '-z', '--ignore-submodules=all', '--no-renames']
const LINE_COUNTS = [
  ...['diff', '--numstat', '-z', '--no-renames', '--no-ext-diff', '--no-textconv'],
  ...['--ignore-submodules=all', '--end-of-options', 'HEAD', '--'],
]
const BRANCHES_MAX = 1000
const SUBMODULES_MAX = 100

/** A repository in the workspace. It is not trusted: its settings and folders may be a trap. */
export class Repository {
  readonly place: WorkspacePath
  /** The `.git` folder, or the folder that a `.git` file names. */
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
   * Opens the repository of a folder. Returns undefined when the folder is no repository.
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
      const porcelain = await run([...STATUS, '--untracked-files=normal', '--'])
      const numbers = await tryRun(LINE_COUNTS)
      const changes = toChanges(porcelain)
      const lines = toLineCounts(numbers ?? '')
      const { filesRemoved, totalAdded, totalRemoved } = lines
      const filesAdded = lines.filesAdded === 0 && filesRemoved === 0 ? changes.count : lines.filesAdded
      const remoteUrl = await this.#remoteUrl(tryRun)
      return {
        initialized: true,
        hasChanges: filesAdded + filesRemoved + totalAdded + totalRemoved > 0,
        ...headFacts(await headOf(tryRun)),
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

  /** Returns the branch and every file that differs from HEAD, by path. Before the first commit every file differs. */
  async changes(signal: AbortSignal): Promise<{ branch: string; files: FileChange[] }> {
    return await this.#within(signal, async (run, tryRun) => {
      const porcelain = await run([...STATUS, '--untracked-files=all', '--'])
      const numbers = await tryRun(LINE_COUNTS)
      const { branch } = await headOf(tryRun)
      return { branch, files: toFileChanges(porcelain, numbers ?? '') }
    })
  }

  /**
   * Returns the bytes of a file in HEAD; undefined when HEAD has no such file.
   *
   * @throws {RunnerError} `too_large` for more than `bytesMax` bytes.
   */
  async atHead(path: string, bytesMax: number, signal: AbortSignal): Promise<Buffer | undefined> {
    return await this.#within(signal, async (_run, tryRun, tryCall) => {
      const size = await tryRun(['cat-file', '-s', `HEAD:${path}`])
      if (size === undefined) return undefined
      if (Number(size) > bytesMax) throw tooLarge(path, bytesMax)
      const { code, bytes } = await tryCall(['cat-file', 'blob', `HEAD:${path}`])
      return code === 0 ? bytes : undefined
    })
  }

  /** Returns the branches of the remote that were fetched. */
  async remoteBranches(signal: AbortSignal): Promise<string[]> {
    return await this.#within(signal, (run) => refNames(run, 'refs/remotes/origin/'))
  }

  async describe(signal: AbortSignal): Promise<{
    url: string
    branches: string[]
    currentActiveBranch: string
    defaultBranch: string
    detached?: true
    commit?: string | undefined
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
      const { branch, ...detached } = headFacts(await headOf(tryRun))
      return { url, branches, currentActiveBranch: branch, defaultBranch, ...detached }
    })
  }

  async head(signal: AbortSignal): Promise<Head> {
    return await this.#within(signal, (_run, tryRun) => headOf(tryRun))
  }

  /** Returns the URL of `origin` without credentials; empty when there is none. */
  async origin(signal: AbortSignal): Promise<string> {
    return await this.#within(signal, (_run, tryRun) => this.#remoteUrl(tryRun))
  }

  async has(ref: string, signal: AbortSignal): Promise<boolean> {
    return await this.#within(signal, (_run, tryRun) => hasRef(tryRun, ref))
  }

  async hasCommit(id: string, signal: AbortSignal): Promise<boolean> {
    return await this.#within(signal, async (_run, tryRun) => (await commitOf(tryRun, id)) !== undefined)
  }

  /** Whether the repository has the branch, or has the tag or commit checked out. The remote is not asked. */
  async answersTo(name: string, signal: AbortSignal): Promise<boolean> {
    return await this.#within(signal, async (_run, tryRun) => {
      const branch = branchOf(name)
      const places = branch === undefined ? [] : [`refs/heads/${branch}`, `refs/remotes/origin/${branch}`]
      for (const ref of places) if (await hasRef(tryRun, ref)) return true
      return await isAt(tryRun, name)
    })
  }

  /** Whether the commit that the name means in this repository is checked out. */
  async isAt(name: string, signal: AbortSignal): Promise<boolean> {
    return await this.#within(signal, (_run, tryRun) => isAt(tryRun, name))
  }

  /** Returns the folders of the submodules that HEAD names. */
  async submodules(signal: AbortSignal): Promise<string[]> {
    return await this.#within(signal, async (_run, tryRun) => {
      const pattern = '^submodule\\..*\\.path$'
      const settings = await tryRun(['config', '--blob=HEAD:.gitmodules', '--null', '--get-regexp', pattern])
      const paths = (settings ?? '').split('\0').map((setting) => setting.slice(setting.indexOf('\n') + 1))
      return paths.filter((path) => path !== '').slice(0, SUBMODULES_MAX)
    })
  }

  /** Fetches a refspec from a repository on this machine. */
  async takeFrom(path: string, refspec: string, signal: AbortSignal): Promise<void> {
    const options = ['--quiet', '--no-tags', '--no-write-fetch-head', '--no-recurse-submodules']
    await this.#within(signal, (run) => run(['fetch', ...options, '--update-shallow', '--', path, refspec]), {
      protocols: ['file'],
    })
  }

  /** Checks out a branch, made from the remote's branch when there is none. */
  async switchTo(branch: string, signal: AbortSignal): Promise<void> {
    await this.#within(signal, async (run, tryRun) => {
      if (await hasRef(tryRun, `refs/heads/${branch}`)) {
        await run(['switch', '--quiet', '--end-of-options', branch])
      } else {
        const create = ['--no-track', `--create=${branch}`, '--end-of-options']
        await run(['switch', '--quiet', ...create, `refs/remotes/origin/${branch}`])
      }
    })
  }

  /** Checks out a commit, or the commit that a tag leads to. HEAD is then detached. */
  async detachAt(id: string, signal: AbortSignal): Promise<void> {
    await this.#within(signal, (run) => run(['switch', '--quiet', '--detach', '--end-of-options', id]))
  }

  async #remoteUrl(tryRun: TryRun): Promise<string> {
    const url = await tryRun(['config', '--local', '--get', 'remote.origin.url'])
    return withoutUserInfo(url?.trim() ?? '')
  }

  async #within<T>(
    signal: AbortSignal,
    work: (run: Run, tryRun: TryRun, tryCall: TryCall) => Promise<T>,
    options: Pick<GitCall, 'protocols'> = {},
  ): Promise<T> {
    const folder = await this.#files.guard.openFolder(this.place)
    return await folder.use(async () => {
      // A path that is not UTF-8 cannot be an argument. In most repositories `.git` is enough.
      const isBelow = this.gitFolder === below(this.place, '.git')
      const gitFolder = isBelow ? '.git' : this.#files.guard.absolute(this.gitFolder)
      const place = [`--git-dir=${gitFolder}`, '--work-tree=.']
      const config = await this.#disarmed(folder, place, signal)
      const call = { ...options, folder, signal, config }
      const all = (args: readonly string[]): string[] => [...place, ...args]
      const tryCall: TryCall = (args) => this.#git.tryRun(all(args), call)
      const tryRun: TryRun = async (args) => {
        const { code, stdout } = await tryCall(args)
        return code === 0 ? stdout : undefined
      }
      return await work((args) => this.#git.run(all(args), call), tryRun, tryCall)
    })
  }

  /** Returns empty values for the settings that name programs to run on files. Reading those settings runs nothing. */
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
/** Returns git's output; undefined when git fails. */
type TryRun = (args: readonly string[]) => Promise<string | undefined>
type TryCall = (args: readonly string[]) => Promise<GitResult>

async function headOf(tryRun: TryRun): Promise<Head> {
  // `--short` is not used: it returns `heads/x` where a tag has the same name.
  const ref = (await tryRun(['symbolic-ref', '--quiet', 'HEAD']))?.trim()
  const branch = ref?.replace(/^refs\/heads\//, '') ?? 'HEAD'
  return { branch, commit: await commitOf(tryRun, 'HEAD'), isDetached: ref === undefined }
}

async function isAt(tryRun: TryRun, name: string): Promise<boolean> {
  const { commit } = await headOf(tryRun)
  if (commit === undefined) return false
  const pins = isObjectId(name) ? [name] : refsOf(name)
  for (const pin of pins) if ((await commitOf(tryRun, pin)) === commit) return true
  return false
}

/** Returns the head in the form that the routes return. */
function headFacts({ branch, commit, isDetached }: Head): {
  branch: string
  detached?: true
  commit?: string | undefined
} {
  return isDetached ? { branch, detached: true, commit } : { branch }
}

async function hasRef(tryRun: TryRun, ref: string): Promise<boolean> {
  return (await tryRun(['show-ref', '--verify', '--quiet', '--', ref])) !== undefined
}

/** Returns the id of a commit; undefined when there is none. `^{commit}` makes git check the object too. */
async function commitOf(tryRun: TryRun, name: string): Promise<string | undefined> {
  return (await tryRun(['rev-parse', '--verify', '--quiet', `${name}^{commit}`]))?.trim()
}

async function refNames(run: Run, prefix: string): Promise<string[]> {
  const out = await run(['for-each-ref', `--count=${BRANCHES_MAX}`, '--format=%(refname)', '--', prefix])
  return out
    .split('\n')
    .filter((ref) => ref.startsWith(prefix) && !ref.endsWith('/HEAD'))
    .map((ref) => ref.slice(prefix.length))
}

/** Whether an error of the file system, or a RunnerError, means that nothing is there. */
export function isMissing(error: unknown): boolean {
  return hasErrno(error, 'ENOENT') || (error instanceof RunnerError && error.code === 'not_found')
}
