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
  /** Where a clone, or an empty folder, is made; it does not exist yet. */
  target: string
  isGitHidden: boolean
  /** Where git is. */
  path: string | undefined
  /** Whose the files are inside. */
  user: { uid: number; gid: number }
}

const CLONE_MS = 300_000

/**
 * The folder that is mounted, as its real path, and what becomes of its `.git` (outside.md 2.5).
 *
 * @throws {RunnerError} `config_invalid`.
 */
export async function prepareMounted(
  request: WorkspaceRequest,
): Promise<{ folder: string; git: GitProtection }> {
  const { kind, source, target, isGitHidden, user } = request
  if (kind === 'mount') {
    const folder = await realpath(source)
    return { folder, git: isGitHidden ? 'hidden' : await protectionOf(folder) }
  }
  if (kind === 'none') await mkdir(target)
  else await clone(source, target, request.path)
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
  return 'pinned'
}

/** History yes; its configuration, hooks and whatever token lies in them no. */
async function clone(source: string, target: string, path: string | undefined): Promise<void> {
  const args = ['-c', 'core.hooksPath=/dev/null', 'clone', '--quiet', '--no-local', '--', source, target]
  const env = { PATH: path, GIT_CONFIG_NOSYSTEM: '1', GIT_CONFIG_GLOBAL: '/dev/null' }
  try {
    await promisify(execFile)('git', args, { env, timeout: CLONE_MS })
    // It names a folder of this machine, which is not there inside.
    await promisify(execFile)('git', ['-C', target, 'remote', 'remove', 'origin'], { env })
  } catch (error) {
    throw new RunnerError(
      'config_invalid',
      `${source} cannot be cloned: ${toMessage(error).trim().split('\n').at(-1)}. Use --workspace mount or none for a folder without git.`,
    )
  }
}

/** Only root gives files away; everybody else's are the container's user's already. */
export async function giveTo(folder: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  if (process.getuid?.() !== 0) return
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  for (const { parentPath, name } of entries) await lchown(join(parentPath, name), uid, gid)
  await lchown(folder, uid, gid)
}
