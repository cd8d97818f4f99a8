// The processes of this machine as the kernel lists them, and their ancestry.
import { readdirSync, readFileSync } from 'node:fs'

/** Index of `starttime` in /proc/PID/stat, from the first field after the command name (proc(5), field 22). */
const STARTED_FIELD = 19

/** A process identified by pid and start time, because a pid alone may belong to another process a moment later. */
export interface ProcessRef {
  pid: number
  /** Start time in clock ticks since boot. */
  started: string
}

export interface ProcessRow extends ProcessRef {
  parent: number
}

/** Returns every living process. */
export function processes(): ProcessRow[] {
  return pids().flatMap((pid) => processOf(pid) ?? [])
}

/** Returns the process with this pid, and undefined when no such process lives. */
export function processOf(pid: number): ProcessRow | undefined {
  const stat = readProc(`${pid}/stat`)
  // The command name is in brackets and may contain anything, including brackets.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  const [state, parent] = fields
  const started = fields[STARTED_FIELD]
  if (started === undefined || (state === 'Z' && !hasThreads(pid))) return undefined
  return { pid, parent: Number(parent), started }
}

export function isLiving({ pid, started }: ProcessRef): boolean {
  return processOf(pid)?.started === started
}

/** Returns the pids of `roots` and of all their descendants. */
export function withDescendants(rows: readonly ProcessRow[], roots: Iterable<number>): Set<number> {
  const found = new Set(roots)
  for (let size = -1; size !== found.size; ) {
    size = found.size
    for (const { pid, parent } of rows) if (found.has(parent)) found.add(pid)
  }
  return found
}

/** Sends a signal to a process, or to a process group when `pid` is negative. Ignores one that has ended. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // ESRCH: the process has ended by itself in the meantime.
  }
}

/** Returns the text of a file below /proc, and undefined when the process has ended or is another user's. */
export function readProc(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, 'utf8')
  } catch {
    // See above.
    return undefined
  }
}

/** Whether other threads still run. A process whose first thread has ended looks like a zombie until they end. */
function hasThreads(pid: number): boolean {
  return entries(`/proc/${pid}/task`).length > 1
}

/** Of all that live. Without a /proc (not Linux) the list is empty, and only the process group is known. */
export function pids(): number[] {
  return entries('/proc').map(Number).filter(Number.isInteger)
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // The folder does not exist, or no longer exists.
    return []
  }
}
