// What a command leaves behind when it ends, in the PID namespace of one Claude Code. It could make, after the run, what
// git would execute for a person, so it ends with the run. A signal that only stops it would not do: it can have set a
// timer that wakes it.
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
/** bubblewrap's own is the first process inside; what it was asked to start is the second. */
const STARTED_PID = 2

/**
 * Ends what does not descend from the process that was started inside: a command's shell is gone when the command is, and
 * what it leaves then belongs to `init`, bubblewrap's own process inside. When that does not end, all inside does. Returns
 * how many were ended.
 */
export async function endLeftovers(init: ProcessRef): Promise<number> {
  const ended = new Set<string>()
  for (const deadline = Date.now() + END_MS_MAX; ; await delay(RESCAN_MS)) {
    const left = leftoversOf(init)
    if (left.length === 0) return ended.size
    for (const { pid, started } of left) {
      ended.add(`${pid} ${started}`)
      signalProcess(pid, 'SIGKILL')
    }
    if (Date.now() < deadline) continue
    signalProcess(init.pid, 'SIGKILL')
    await untilGone(init)
    return ended.size
  }
}

/** `init` ends when nothing is left of its namespace. */
export async function untilGone(init: ProcessRef): Promise<void> {
  for (const deadline = Date.now() + END_MS_MAX; isLiving(init) && Date.now() < deadline; )
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

/** No other process has this number while that one lives; namespaces further in have one number more. */
function isStarted(pid: number, init: number): boolean {
  const [own, outer] = [pid, init].map((one) =>
    /^NSpid:\s*(.*)$/m.exec(readProc(`${one}/status`) ?? '')?.[1]?.split(/\s+/),
  )
  return own?.length === outer?.length && own?.at(-1) === String(STARTED_PID)
}

/** What bubblewrap writes to its --info-fd; undefined when it did not get as far. */
export function initOf(info: string): ProcessRef | undefined {
  const pid = /"child-pid": (\d+)/.exec(info)?.[1]
  return pid === undefined ? undefined : processOf(Number(pid))
}
