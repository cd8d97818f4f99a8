// Finds out what this machine can do by trying it: kernels, containers and distributions switch these features off in
// too many ways to look up.
import { execFile } from 'node:child_process'
import { accessSync, constants } from 'node:fs'
import { toMessage } from '../../errors.ts'

/** Absolute paths of the programs: a program that root starts must not come from PATH. */
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
  /** The feature that was tried, such as `user_namespaces`. */
  name: string
  ok: boolean
  /** The machine's message when the trial failed, at most WHY_CHARS_MAX characters. */
  why?: string
}

/** The package of each program on Debian, Ubuntu, Fedora and Alpine. */
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

/** Returns the programs, or the packages of those that are missing. */
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

/** Returns a program's path in the system's own folders, not from PATH: root must not start a stranger's program. */
export function programPath(name: string): string | undefined {
  return FOLDERS.map((folder) => `${folder}/${name}`).find(isProgram)
}

/** Tries each feature by itself, so that a failure has a name. */
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
