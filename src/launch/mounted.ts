import { execFile } from 'node:child_process'
import { lchown, lstat, mkdir, readdir, realpath } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { RunnerError, toMessage } from '../errors.ts'
import { shapeOf } from '../sandbox/bwrap/freeze.ts'
import { gitDirectoryAt } from '../sandbox/bwrap/git-guard.ts'
import { isDiskFull } from './disk-full.ts'

export type WorkspaceKind = 'clone' | 'mount' | 'none'

export interface WorkspaceRequest {
  kind: WorkspaceKind
  /** The checkout on this machine. */
  source: string
  /** The place of a clone or an empty folder, which must not exist yet. */
  target: string
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

/** Whether the user trusts a checkout of somebody else is asked before (`uncommittedIn`); here git is given no settings. */
const TRUSTING = ['-c', 'safe.directory=*', '-c', 'core.hooksPath=/dev/null']
/** The same for the git that reads the checkout, to which no options are handed on. */
const TRUSTING_READER = ['--upload-pack', "git -c safe.directory='*' upload-pack"]

interface Mounted {
  /** The folder to mount, as its real path. */
  folder: string
  /** The folder in it that the agent starts in: a clone is of the whole repository. */
  startIn: string
}

/**
 * Prepares the folder to mount.
 *
 * @throws {RunnerError} `config_invalid`; `storage_full`.
 */
export async function prepareMounted(request: WorkspaceRequest): Promise<Mounted> {
  const { kind, source, target, user } = request
  if (kind === 'mount') {
    const folder = await realpath(source)
    const owner = (await lstat(folder)).uid
    if (owner !== user.uid)
      throw new RunnerError(
        'config_invalid',
        `${folder} belongs to the user ${owner}, and the container's user is ${user.uid}: it could not write there. Use --workspace clone, or start as the owner.`,
      )
    return { folder, startIn: '' }
  }
  let startIn = ''
  if (kind === 'none') await mkdir(target)
  else startIn = await clone(request)
  await giveTo(target, user)
  return { folder: await realpath(target), startIn }
}

/**
 * Clones the history without the checkout's configuration, hooks and tokens. The checkout may be a worktree and shallow.
 * Nothing is written to it, so several clones can be made at once.
 *
 * @returns the checkout's folder in its repository.
 */
async function clone({ source, target, path, branch, base, depth }: WorkspaceRequest): Promise<string> {
  const env = gitEnvironment(path)
  const git = async (...args: string[]): Promise<string> => {
    return (await promisify(execFile)('git', [...TRUSTING, ...args], { env, timeout: CLONE_MS })).stdout
  }
  const shallow = depth === undefined ? [] : ['--depth', String(depth)]
  const from = base === undefined ? undefined : await refOf(base, source, git)
  let startIn: string
  try {
    // A bare repository has no folders, and its commands fail.
    const [top = source, prefix = ''] = await git(
      '-C',
      source,
      'rev-parse',
      '--show-toplevel',
      '--show-prefix',
    )
      .then((said) => said.split('\n'))
      .catch(() => [])
    startIn = prefix.replace(/\/$/, '')
    await git('clone', '--quiet', '--no-local', ...TRUSTING_READER, ...shallow, '--', top, target)
    // It names a folder of this machine, which does not exist inside.
    await git('-C', target, 'remote', 'remove', 'origin')
    if (from !== undefined)
      await git(
        '-C',
        target,
        'fetch',
        '--quiet',
        '--no-tags',
        ...TRUSTING_READER,
        ...shallow,
        '--',
        top,
        from,
      )
    const start = from === undefined ? [] : ['FETCH_HEAD']
    await git('-C', target, 'switch', '--quiet', '--create', branch, ...start)
  } catch (error) {
    if (isDiskFull(error))
      throw new RunnerError(
        'storage_full',
        `There is no room for a clone of ${source} in ${dirname(target)}. Free space there, let TMPDIR name another folder, or use --depth 1.`,
        { cause: error },
      )
    throw new RunnerError(
      'config_invalid',
      `${source} cannot be cloned: ${reasonOf(error)}. Use --workspace mount or none for a folder without git.`,
    )
  }
  if (!(await isFolderIn(target, startIn)))
    throw new RunnerError(
      'config_invalid',
      `${source} is not in the commit that is cloned: commit it, or use --workspace mount.`,
    )
  return startIn
}

/** Returns the folder above whose repository `folder` is a part of. Undefined when it has its own, or none has it. */
export function repositoryAbove(folder: string): string | undefined {
  if (hasRepository(folder)) return undefined
  let above = dirname(folder)
  while (!hasRepository(above)) {
    if (above === dirname(above)) return undefined
    above = dirname(above)
  }
  return above
}

function hasRepository(folder: string): boolean {
  const directory = gitDirectoryAt(folder)
  return directory !== undefined && shapeOf(join(directory, 'HEAD')) === 'file'
}

/** Returns the line in which git says what is wrong; the others say what else it did not do. */
function reasonOf(error: unknown): string {
  const lines = toMessage(error).trim().split('\n')
  return lines.find((line) => /^(?:fatal|error):/.test(line)) ?? lines.at(-1) ?? ''
}

async function isFolderIn(target: string, path: string): Promise<boolean> {
  const stat = await lstat(join(target, path)).catch(() => undefined)
  return stat?.isDirectory() === true
}

/** Git reads no settings but those of its repository, and its words are those that we look for. */
function gitEnvironment(path: string | undefined): Record<string, string | undefined> {
  return { PATH: path, LC_ALL: 'C', GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
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
  // Where the clone lacks an object, git would fetch it as its settings say, by a program that they name.
  const env = { ...gitEnvironment(path), GIT_NO_LAZY_FETCH: '1' }
  const git = async (...args: string[]): Promise<string[]> => {
    const whole = ['-C', source, ...TRUSTING, ...args]
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
