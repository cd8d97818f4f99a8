import { setTimeout as delay } from 'node:timers/promises'
import {
  isLiving,
  type ProcessRef,
  pids,
  processes,
  readProc,
  signalProcess,
  withDescendants,
} from '../../process-table.ts'

/** Variable in the environment of everything Claude Code starts. It finds children that left its process group. */
export const MARK_VARIABLE = 'AGUI_RUNNER_PROCESS'

const RESCAN_MS = 20

/**
 * Returns every living process that descends from `root` or carries `mark` in its environment.
 *
 * Claude Code runs each Bash tool in a session of its own, so killing the process group does not reach them
 * (claude-code.md section 5). A process that left its parent before this call and also cleared its environment is
 * not found. Inside a PID namespace it dies with the namespace.
 */
export function processesOf(mark: string, root?: number): ProcessRef[] {
  // Mostly so when a runner starts: then nobody's parent needs to be read.
  if (root === undefined && !pids().some((pid) => carries(pid, mark))) return []
  const rows = processes()
  const marked = rows.filter(({ pid }) => carries(pid, mark)).map(({ pid }) => pid)
  const found = withDescendants(rows, root === undefined ? marked : [...marked, root])
  return rows.filter(({ pid }) => found.has(pid) && pid !== process.pid)
}

/**
 * Kills what is left of a tree until nothing is left or `timeoutMs` have passed. Repeats, because a dying tree may
 * still fork.
 */
export async function killTree(
  mark: string,
  options: { known?: readonly ProcessRef[]; timeoutMs: number },
): Promise<void> {
  const deadline = performance.now() + options.timeoutMs
  for (;;) {
    const left = [...processesOf(mark), ...(options.known ?? []).filter(isLiving)]
    if (left.length === 0 || performance.now() > deadline) return
    for (const { pid } of left) signalProcess(pid, 'SIGKILL')
    await delay(RESCAN_MS)
  }
}

function carries(pid: number, mark: string): boolean {
  return `\0${readProc(`${pid}/environ`) ?? ''}`.includes(`\0${MARK_VARIABLE}=${mark}`)
}
