// Ends what a command leaves behind in the PID namespace of one Claude Code. After the run, a leftover could make files
// that git would execute for a person. Stopping it with a signal is not enough: a timer that it has set could wake it.
import { setTimeout as delay } from 'node:timers/promises'
import {
  isLiving,
  type ProcessRef,
  processes,
  processOf,
  readProc,
  signalProcess,
  withDescendants,
} from '../../process-table.ts'

const END_MS_MAX = 2000
const RESCAN_MS = 2
/** PID inside of the process that bubblewrap was asked to start; PID 1 is bubblewrap's own. */
const STARTED_PID = 2

/**
 * Ends every process inside that does not descend from the started process, and returns how many were ended. When a
 * command ends, its shell ends too, and its leftovers then belong to `init`, bubblewrap's own process inside. Ends the
 * whole namespace when leftovers remain after END_MS_MAX.
 */
export async function endLeftovers(init: ProcessRef): Promise<number> {
  const ended = new Set<string>()
  for (const deadline = performance.now() + END_MS_MAX; ; await delay(RESCAN_MS)) {
    const left = leftoversOf(init)
    if (left.length === 0) return ended.size
    for (const { pid, started } of left) {
      ended.add(`${pid} ${started}`)
      signalProcess(pid, 'SIGKILL')
    }
    if (performance.now() < deadline) continue
    signalProcess(init.pid, 'SIGKILL')
    await untilGone(init)
    return ended.size
  }
}

/** Resolves when `init` has ended, at the latest after END_MS_MAX. `init` ends with the last process inside. */
export async function untilGone(init: ProcessRef): Promise<void> {
  for (const deadline = performance.now() + END_MS_MAX; isLiving(init) && performance.now() < deadline; )
    await delay(RESCAN_MS)
}

function leftoversOf(init: ProcessRef): ProcessRef[] {
  if (!isLiving(init)) return []
  const rows = processes()
  const inside = withDescendants(rows, [init.pid])
  const started = rows.find(({ pid, parent }) => parent === init.pid && isStarted(pid, init.pid))
  const kept = withDescendants(rows, started === undefined ? [] : [started.pid])
  return rows.filter(({ pid }) => inside.has(pid) && !kept.has(pid) && pid !== init.pid)
}

/** Decides whether `pid` is the started process, by its number in `init`'s namespace; nested ones add a number. */
function isStarted(pid: number, init: number): boolean {
  const [own, outer] = [pid, init].map((one) =>
    /^NSpid:\s*(.*)$/m.exec(readProc(`${one}/status`) ?? '')?.[1]?.split(/\s+/),
  )
  return own?.length === outer?.length && own?.at(-1) === String(STARTED_PID)
}

/** Reads the first process from the text that bubblewrap writes to its --info-fd; undefined while it is incomplete. */
export function initOf(info: string): ProcessRef | undefined {
  const pid = /"child-pid": (\d+)/.exec(info)?.[1]
  return pid === undefined ? undefined : processOf(Number(pid))
}
