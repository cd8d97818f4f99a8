// What the kernel knows of a process; Linux only.
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'

const KIB = 1024
const MIB = 1024 * KIB
const NS_PER_MS = 1e6

/** Resident memory in MiB. */
export function residentMib(pid: number): number {
  return statusField(pid, 'VmRSS') / KIB
}

/** Resident memory that no file is behind, in MiB. */
export function anonymousMib(pid: number): number {
  return statusField(pid, 'RssAnon') / KIB
}

/** Processor time that its threads have used so far, in milliseconds; to the nanosecond, where ticks are hundredths of a second. */
export function cpuMs(pid: number): number {
  const threads = readdirSync(`/proc/${pid}/task`)
  return threads.reduce((sum, thread) => sum + threadNs(pid, thread) / NS_PER_MS, 0)
}

function threadNs(pid: number, thread: string): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'utf8').split(' ')[0])
  } catch {
    // It ended between the listing and the look.
    return 0
  }
}

export function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((candidate) => Number(statFields(candidate)[1]) === pid)
}

export interface Command {
  executable: string
  args: string[]
  env: Record<string, string>
  cwd: string
}

/** How a running process was started. */
export function commandOf(pid: number): Command {
  const strings = (file: string): string[] =>
    readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').slice(0, -1)
  const env = strings('environ').map((line): [string, string] => {
    const equals = line.indexOf('=')
    return [line.slice(0, equals), line.slice(equals + 1)]
  })
  return {
    executable: readlinkSync(`/proc/${pid}/exe`),
    args: strings('cmdline').slice(1),
    env: Object.fromEntries(env),
    cwd: readlinkSync(`/proc/${pid}/cwd`),
  }
}

export function toMib(bytes: number): number {
  return bytes / MIB
}

/** Behind the name, which may hold blanks; the first one is the state. Empty for a process that went. */
function statFields(pid: number): string[] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    // It ended between the listing and the look.
    return []
  }
}

function statusField(pid: number, name: string): number {
  const found = new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Number(found?.[1])
}
