// What this machine can do, found out by doing it: kernels, containers and distributions switch these parts off in
// more ways than could be looked up.
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { toMessage } from '../../errors.ts'

/** Absolute paths: what is started as root must not come from a PATH. */
export interface Tools {
  readonly bwrap: string
  readonly nsenter: string
  readonly unshare: string
  readonly mount: string
  readonly mkdir: string
  readonly setpriv: string
  readonly perl: string
}

export interface Trial {
  /** What was tried, such as `user_namespaces`. */
  name: string
  ok: boolean
  /** What the machine said. */
  why?: string
}

/** What Debian, Ubuntu, Fedora and Alpine call the package of each. */
const PACKAGES: Readonly<Record<keyof Tools, string>> = {
  bwrap: 'bubblewrap',
  nsenter: 'util-linux',
  unshare: 'util-linux',
  mount: 'util-linux',
  mkdir: 'coreutils',
  setpriv: 'util-linux',
  perl: 'perl',
}

const FOLDERS = ['/usr/bin', '/bin', '/usr/sbin', '/sbin', '/usr/local/bin']
const TRIAL_MS_MAX = 5000
const WHY_CHARS_MAX = 300

/** The programs, or the packages that have those that are not here. */
export function findTools(): { tools: Tools } | { missing: string[] } {
  const missing = new Set<string>()
  const find = (name: keyof Tools): string => {
    const found = programPath(name)
    if (found === undefined) missing.add(PACKAGES[name])
    return found ?? name
  }
  const tools: Tools = {
    bwrap: find('bwrap'),
    nsenter: find('nsenter'),
    unshare: find('unshare'),
    mount: find('mount'),
    mkdir: find('mkdir'),
    setpriv: find('setpriv'),
    perl: find('perl'),
  }
  return missing.size === 0 ? { tools } : { missing: [...missing] }
}

/** Returns the program's place in the system's own folders. PATH is not asked: root must not start a stranger's program. */
export function programPath(name: string): string | undefined {
  return FOLDERS.map((folder) => `${folder}/${name}`).find(isProgram)
}

/** Tries each part by itself, so that a failure has a name. */
export async function tryBackend({ bwrap }: Tools): Promise<Trial[]> {
  const inside = (name: string, ...options: string[]): Promise<Trial> =>
    attempt(name, bwrap, [...options, '--ro-bind', '/', '/', '/bin/sh', '-c', ':'])
  return await Promise.all([
    attempt('bubblewrap', bwrap, ['--version']),
    inside('user_namespaces', '--unshare-user'),
    inside('network_namespaces', '--unshare-user', '--unshare-net'),
    inside('pid_namespaces', '--unshare-user', '--unshare-pid', '--proc', '/proc'),
  ])
}

function attempt(name: string, command: string, parameters: readonly string[]): Promise<Trial> {
  return new Promise((resolve) => {
    const options = { timeout: TRIAL_MS_MAX, killSignal: 'SIGKILL', env: {} } as const
    execFile(command, parameters, options, (error, _stdout, stderr) => {
      if (error === null) return resolve({ name, ok: true })
      const why = stderr.trim() || toMessage(error)
      resolve({ name, ok: false, why: why.slice(0, WHY_CHARS_MAX) })
    })
  })
}

function isProgram(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    // The next folder may have it.
    return false
  }
}
