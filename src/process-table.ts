// The processes of this machine as the kernel names them, and what they descend from.
import { readdirSync, readFileSync } from 'node:fs'

/** Index of `starttime` in /proc/PID/stat behind the command name (proc(5), field 22). */
const STARTED_FIELD = 19

/** A process as the kernel names it: a pid alone may be another's a moment later. */
export interface ProcessRef {
  pid: number
  /** Start time in clock ticks since boot. */
  started: string
}

export interface ProcessRow extends ProcessRef {
  parent: number
}

/** All that live. */
export function processes(): ProcessRow[] {
  return pids().flatMap((pid) => processOf(pid) ?? [])
}

/** The one with this pid; undefined when none lives. */
export function processOf(pid: number): ProcessRow | undefined {
  const stat = readProc(`${pid}/stat`)
  // The command name is in brackets and may hold anything, brackets too.
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ') ?? []
  const [state, parent] = fields
  const started = fields[STARTED_FIELD]
  if (started === undefined || (state === 'Z' && !hasThreads(pid))) return undefined
  return { pid, parent: Number(parent), started }
}

export function isLiving({ pid, started }: ProcessRef): boolean {
  return processOf(pid)?.started === started
}

/** Adds to `roots` all that descends from them. */
export function withDescendants(rows: readonly ProcessRow[], roots: Iterable<number>): Set<number> {
  const found = new Set(roots)
  for (let size = -1; size !== found.size; ) {
    size = found.size
    for (const { pid, parent } of rows) if (found.has(parent)) found.add(pid)
  }
  return found
}

/** Sends a signal; a process (or group, when negative) that is gone already is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // ESRCH: it ended by itself in between.
  }
}

/** Text of a file below /proc; undefined when the process has ended, or is another user's. */
export function readProc(name: string): string | undefined {
  try {
    return readFileSync(`/proc/${name}`, 'utf8')
  } catch {
    // See above.
    return undefined
  }
}

/** One whose first thread has ended looks like a zombie while its other threads go on. */
function hasThreads(pid: number): boolean {
  return entries(`/proc/${pid}/task`).length > 1
}

function pids(): number[] {
  // Without a /proc (not Linux) there are none: the process group is all there is.
  return entries('/proc').map(Number).filter(Number.isInteger)
}

function entries(folder: string): string[] {
  try {
    return readdirSync(folder)
  } catch {
    // It is not there, or not there any more.
    return []
  }
}
