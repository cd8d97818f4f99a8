import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { RunnerError, toMessage } from '../errors.ts'
import { isRepositoryName } from '../repository-name.ts'

const ASK_MS = 10_000
/** A list of a hundred thousand files. */
const OUTPUT_BYTES_MAX = 16 * 1024 * 1024

/** Returns the repository that a git address names on this server, by https or ssh, else undefined. Pure. */
export function repositoryAt(remote: string, serverUrl: string): string | undefined {
  const server = new URL(serverUrl)
  const [, sshHost, sshPath] =
    /^(?:ssh:\/\/)?(?:[\w.-]+@)([\w.-]+)(?::\d+\/|[:/])([^:].*)$/.exec(remote) ?? []
  let path: string | undefined
  if (sshHost !== undefined && sshHost.toLowerCase() === server.hostname) path = sshPath
  else if (/^https?:/i.test(remote) && URL.canParse(remote)) {
    const url = new URL(remote)
    const base = `${server.pathname.replace(/\/+$/, '')}/`
    if (url.host === server.host && url.pathname.startsWith(base)) path = url.pathname.slice(base.length)
  }
  const name = path?.replace(/\/+$/, '').replace(/\.git$/, '')
  return name !== undefined && isRepositoryName(name) ? name : undefined
}

type Env = Readonly<Record<string, string | undefined>>

export interface Checkout {
  /** The URL of `origin`, if there is one. */
  origin: string | undefined
  /** The author of commits made here. */
  identity: { name: string; email: string } | undefined
}

/** Reads a folder's git configuration. Nothing of the folder is executed. */
export async function readCheckout(folder: string, env: Env): Promise<Checkout> {
  // Undefined: the setting is absent, or the folder is no repository.
  const value = async (name: string): Promise<string | undefined> =>
    (await ask(folder, ['config', '--get', name], env))?.trim() || undefined
  const [origin, name, email] = await Promise.all(['remote.origin.url', 'user.name', 'user.email'].map(value))
  return { origin, identity: name === undefined || email === undefined ? undefined : { name, email } }
}

/**
 * Counts the changed, new and deleted files that a clone of the folder's repository lacks. Hooks and submodules are
 * left out, so that nothing of them is executed.
 *
 * @throws {RunnerError} `config_invalid` for another user's repository that git does not take.
 */
export async function uncommittedIn(folder: string, env: Env): Promise<number> {
  const quiet = ['-c', 'core.fsmonitor=false', '-c', 'core.hooksPath=/dev/null']
  const args = [...quiet, 'status', '--porcelain', '-z', '--no-renames', '--ignore-submodules=dirty']
  try {
    return (await git(folder, args, env)).split('\0').length - 1
  } catch (error) {
    refuseForeign(folder, error)
    return 0
  }
}

/**
 * A repository of another user is cloned when this user's own git takes it (`safe.directory`).
 *
 * @throws {RunnerError} `config_invalid` with git's remedy, when that is what git has failed for.
 */
function refuseForeign(folder: string, error: unknown): void {
  const [remedy] = /git config --global --add safe\.directory .*/.exec(toMessage(error)) ?? []
  if (remedy !== undefined)
    throw new RunnerError(
      'config_invalid',
      `${folder} is of a repository that belongs to another user, and git does not take it. If you trust it: ${remedy}`,
    )
}

/** Returns what git says in the folder; undefined when it fails. */
async function ask(folder: string, args: readonly string[], env: Env): Promise<string | undefined> {
  try {
    return await git(folder, args, env)
  } catch {
    return undefined
  }
}

async function git(folder: string, args: readonly string[], env: Env): Promise<string> {
  const { stdout } = await promisify(execFile)('git', ['-C', folder, ...args], {
    env: {
      ...{ PATH: env['PATH'], HOME: env['HOME'], XDG_CONFIG_HOME: env['XDG_CONFIG_HOME'] },
      ...{ GIT_OPTIONAL_LOCKS: '0', LC_ALL: 'C' },
    },
    timeout: ASK_MS,
    maxBuffer: OUTPUT_BYTES_MAX,
  })
  return stdout
}
