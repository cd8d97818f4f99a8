import { execFile } from 'node:child_process'
import { lchown, lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { RunnerError, toMessage } from '../errors.ts'
import type { GitProtection } from './plan.ts'

export type WorkspaceKind = 'clone' | 'mount' | 'none'

export interface WorkspaceRequest {
  kind: WorkspaceKind
  /** The checkout on this machine. */
  source: string
  /** The place of a clone or an empty folder, which must not exist yet. */
  target: string
  isGitHidden: boolean
  /** PATH for finding git. */
  path: string | undefined
  /** The agent's own branch, on which a clone is. */
  branch: string
  /** The checkout's branch at which it begins; HEAD by default. */
  base: string | undefined
  /** Commits of a clone's history; by default all of the checkout's. */
  depth: number | undefined
  /** The owner of the files inside. */
  user: { uid: number; gid: number }
}

const CLONE_MS = 300_000

/**
 * Prepares the folder to mount. Returns its real path and the protection of its `.git` (outside.md 2.5).
 *
 * @throws {RunnerError} `config_invalid`.
 */
export async function prepareMounted(
  request: WorkspaceRequest,
): Promise<{ folder: string; git: GitProtection }> {
  const { kind, source, target, isGitHidden, user } = request
  if (kind === 'mount') {
    const folder = await realpath(source)
    const owner = (await lstat(folder)).uid
    if (owner !== user.uid)
      throw new RunnerError(
        'config_invalid',
        `${folder} belongs to the user ${owner}, and the container's user is ${user.uid}: it could not write there. Use --workspace clone, or start as the owner.`,
      )
    return { folder, git: isGitHidden ? 'hidden' : await protectionOf(folder) }
  }
  if (kind === 'none') await mkdir(target)
  else await clone(request)
  await giveTo(target, user)
  return { folder: await realpath(target), git: 'whole' }
}

async function protectionOf(folder: string): Promise<GitProtection> {
  const git = await lstat(join(folder, '.git')).catch(() => undefined)
  if (git === undefined) return 'whole'
  if (!git.isDirectory())
    throw new RunnerError(
      'config_invalid',
      `${folder}/.git is not a folder: a worktree's repository lies elsewhere and cannot be mounted with it. Use --workspace clone, or --git hidden.`,
    )
  const [hooks, config] = await Promise.all(
    ['hooks', 'config'].map((name) => lstat(join(folder, '.git', name)).catch(() => undefined)),
  )
  // A mount on a link covers what it leads to; the link itself could be replaced.
  if (hooks?.isDirectory() !== true || config?.isFile() !== true)
    throw new RunnerError(
      'config_invalid',
      `Of ${folder}/.git, hooks has to be a folder and config a file, for both are covered. Make them so, or use --workspace clone, or --git hidden.`,
    )
  return 'pinned'
}

/**
 * Clones the history without the checkout's configuration, hooks and tokens. The checkout may be a worktree and shallow.
 * Nothing is written to it, so several clones can be made at once.
 */
async function clone({ source, target, path, branch, base, depth }: WorkspaceRequest): Promise<void> {
  const env = { PATH: path, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  const git = (...args: string[]) =>
    promisify(execFile)('git', ['-c', 'core.hooksPath=/dev/null', ...args], { env, timeout: CLONE_MS })
  const shallow = depth === undefined ? [] : ['--depth', String(depth)]
  const from = base === undefined ? undefined : await refOf(base, source, git)
  try {
    await git('clone', '--quiet', '--no-local', ...shallow, '--', source, target)
    // It names a folder of this machine, which does not exist inside.
    await git('-C', target, 'remote', 'remove', 'origin')
    if (from !== undefined)
      await git('-C', target, 'fetch', '--quiet', '--no-tags', ...shallow, '--', source, from)
    const start = from === undefined ? [] : ['FETCH_HEAD']
    await git('-C', target, 'switch', '--quiet', '--create', branch, ...start)
  } catch (error) {
    throw new RunnerError(
      'config_invalid',
      `${source} cannot be cloned: ${toMessage(error).trim().split('\n').at(-1)}. Use --workspace mount or none for a folder without git.`,
    )
  }
}

/** Returns the ref of the checkout's own branch of this name, else of origin's. */
async function refOf(
  base: string,
  source: string,
  git: (...args: string[]) => Promise<unknown>,
): Promise<string> {
  for (const ref of [`refs/heads/${base}`, `refs/remotes/origin/${base}`]) {
    const isThere = await git('-C', source, 'rev-parse', '--verify', '--quiet', ref).then(
      () => true,
      () => false,
    )
    if (isThere) return ref
  }
  throw new RunnerError(
    'config_invalid',
    `${source} has no branch ${JSON.stringify(base)}: fetch it first (in CI by fetch-depth: 0), or name another.`,
  )
}

/**
 * Fetches the clone's commits as refs of its checkout, before the clone is removed. Git never runs in the clone, and none
 * of its hooks do (outside.md 2.5).
 *
 * @returns the names of the refs; empty when nothing is new.
 */
export async function fetchCommits(
  { source, target, path }: Pick<WorkspaceRequest, 'source' | 'target' | 'path'>,
  run: string,
): Promise<string[]> {
  const [uid = 0, gid = 0] = [process.getuid?.(), process.getgid?.()]
  await giveTo(target, { uid, gid })
  const env = { PATH: path, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  const git = async (...args: string[]): Promise<string[]> => {
    const whole = ['-C', source, '-c', 'core.hooksPath=/dev/null', ...args]
    const { stdout } = await promisify(execFile)('git', whole, { env, timeout: CLONE_MS })
    return stdout.split('\n').filter((line) => line !== '')
  }
  const place = `refs/agui-runner/${run}`
  await git(
    'fetch',
    '--quiet',
    '--no-tags',
    '--no-write-fetch-head',
    '--',
    target,
    `+refs/heads/*:${place}/*`,
  )
  const known = new Set(await git('for-each-ref', '--format=%(objectname)', 'refs/heads', 'refs/remotes'))
  // A checkout on a branch without a commit has no HEAD.
  const heads = await git('rev-parse', '--verify', '--quiet', 'HEAD').catch(() => [])
  for (const head of heads) known.add(head)
  const found = await git('for-each-ref', '--format=%(objectname) %(refname)', place)
  const isNew = (line: string): boolean => !known.has(line.split(' ')[0] ?? '')
  const nameIn = (line: string): string => line.slice(line.indexOf(' ') + 1)
  for (const line of found) if (!isNew(line)) await git('update-ref', '-d', nameIn(line))
  return found.filter(isNew).map(nameIn)
}

/** Gives a folder to the inner user. Only root can and needs to: other callers are that user. */
export async function giveTo(folder: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  if (process.getuid?.() !== 0) return
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  for (const { parentPath, name } of entries) await lchown(join(parentPath, name), uid, gid)
  await lchown(folder, uid, gid)
}
