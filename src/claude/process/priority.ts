import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, constants, getPriority, setPriority } from 'node:os'
import { processes, withDescendants } from '../../process-table.ts'

/**
 * How far an agent stands behind the server, in nice levels: it gets a third of the server's share of a processor that
 * both want (sched(7)), and all of one that nobody else wants.
 */
const BEHIND = 5
const { PRIORITY_LOW } = constants.priority

const living = new Set<number>()

/**
 * Keeps a processor for the server, which all readers wait for. When more agents live than there are processors, all
 * agents, what they have started and what they start from then on get a lower priority. Fewer agents keep theirs: on a
 * machine that others keep busy, an agent with a lower priority than this server comes after everybody else, too.
 */
export function putBehind(agent: ChildProcess): void {
  const { pid } = agent
  if (pid === undefined) return
  living.add(pid)
  agent.once('exit', () => living.delete(pid))
  if (living.size <= availableParallelism()) return
  // In a sandbox the agent is a child of what was spawned.
  for (const each of withDescendants(processes(), living)) lower(each)
  for (const each of living) lowerSession(each)
}

/** Lowers each thread of one process. */
function lower(pid: number): void {
  unlessRefused(() => {
    for (const thread of readdirSync(`/proc/${pid}/task`))
      unlessRefused(() => setPriority(Number(thread), behind(getPriority())))
  })
}

/**
 * Lowers the session of one agent. Where Linux shares a processor between sessions first (autogroup in sched(7)), the
 * session's value counts. A command of the agent has a session of its own, which stands beside the server. Only root
 * may set more than one session value in a tenth of a second.
 */
function lowerSession(pid: number): void {
  unlessRefused(() => {
    // The file is empty for a process that has been in no session since the system started.
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))?.[1] ?? 0
    writeFileSync(`/proc/${pid}/autogroup`, String(behind(Number(own))))
  })
}

function behind(priority: number): number {
  return Math.min(priority + BEHIND, PRIORITY_LOW)
}

/** Ignores a failure: the process or thread has ended, the system lacks the feature, or this user may not use it. */
function unlessRefused(work: () => void): void {
  try {
    work()
  } catch {
    // Ignored, as said above.
  }
}
