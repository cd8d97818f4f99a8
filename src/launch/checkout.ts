import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { isRepositoryName } from '../repository-name.ts'

const ASK_MS = 10_000

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

export interface Checkout {
  /** The URL of `origin`, if there is one. */
  origin: string | undefined
  /** The author of commits made here. */
  identity: { name: string; email: string } | undefined
}

/** Reads a folder's git configuration. Nothing of the folder is executed. */
export async function readCheckout(
  folder: string,
  env: Readonly<Record<string, string | undefined>>,
): Promise<Checkout> {
  const value = async (name: string): Promise<string | undefined> => {
    try {
      const { stdout } = await promisify(execFile)('git', ['-C', folder, 'config', '--get', name], {
        env: { PATH: env['PATH'], HOME: env['HOME'], XDG_CONFIG_HOME: env['XDG_CONFIG_HOME'] },
        timeout: ASK_MS,
      })
      return stdout.trim() || undefined
    } catch {
      // The setting is absent, or the folder is no repository.
      return undefined
    }
  }
  const [origin, name, email] = await Promise.all(['remote.origin.url', 'user.name', 'user.email'].map(value))
  return { origin, identity: name === undefined || email === undefined ? undefined : { name, email } }
}
