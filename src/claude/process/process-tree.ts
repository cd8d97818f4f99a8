import { readdirSync, readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'

/** In the environment of everything Claude Code starts; finds children that left its process group. */
export const MARK_VARIABLE = 'AGUI_RUNNER_PROCESS'

const RESCAN_MS = 20
/** Index of `starttime` in /proc/PID/stat behind the command name (proc(5), field 22). */
const STARTED_FIELD = 19

/** A process as the kernel names it: a pid alone may be another's a moment later. */
export interface ProcessRef {
  pid: number
  /** Start time in clock ticks since boot. */
  started: string
}

interface Row extends ProcessRef {
  parent: number
}

/**
 * Every living process that descends from `root` or carries `mark` in its environment.
 *
 * Claude Code runs each Bash tool in a session of its own, so killing the process group does not reach them
 * (claude-code.md section 5). What both left its parent before this was called and cleared its environment is
 * not found; inside a PID namespace it dies with it.
 */
export function processesOf(mark: string, root?: number): ProcessRef[] {
  const rows = processes()
  const found = new Set(rows.filter(({ pid }) => carries(pid, mark)).map(({ pid }) => pid))
  if (root !== undefined) found.add(root)
  for (let size = -1; size !== found.size; ) {
    size = found.size
    for (const { pid, parent } of rows) if (found.has(parent)) found.add(pid)
  }
  return rows.filter(({ pid }) => found.has(pid) && pid !== process.pid)
}

/** Kills what is left of a tree, again and again until nothing is, since a dying tree may still fork. */
export async function killTree(
  mark: string,
  options: { known?: readonly ProcessRef[]; timeoutMs: number },
): Promise<void> {
  const deadline = Date.now() + options.timeoutMs
  for (;;) {
    const living = processes()
    const isLiving = (ref: ProcessRef): boolean =>
      living.some(({ pid, started }) => pid === ref.pid && started === ref.started)
    const left = [...processesOf(mark), ...(options.known ?? []).filter(isLiving)]
    if (left.length === 0 || Date.now() > deadline) return
    for (const { pid } of left) signalProcess(pid, 'SIGKILL')
    await delay(RESCAN_MS)
  }
}

/** Sends a signal; a process (or group, when negative) that is gone already is fine. */
export function signalProcess(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal)
  } catch {
    // ESRCH: it ended by itself in between.
  }
}

function processes(): Row[] {
  return pids().flatMap((pid) => {
    const stat = read(`/proc/${pid}/stat`)
    if (stat === undefined) return []
    // The command name is in brackets and may hold anything, brackets too.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    const [state, parent] = fields
    const started = fields[STARTED_FIELD]
    return state === 'Z' || started === undefined ? [] : [{ pid, parent: Number(parent), started }]
  })
}

function pids(): number[] {
  try {
    return readdirSync('/proc').map(Number).filter(Number.isInteger)
  } catch {
    // No /proc (not Linux): the process group is all there is.
    return []
  }
}

function carries(pid: number, mark: string): boolean {
  return (
    read(`/proc/${pid}/environ`)
      ?.split('\0')
      .some((entry) => entry.startsWith(`${MARK_VARIABLE}=${mark}`)) ?? false
  )
}

function read(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // It ended between the listing and now, or is another user's.
    return undefined
  }
}
