import type { ChildProcess } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, constants, getPriority, setPriority } from 'node:os'

/**
 * How far an agent stands behind the server, in nice levels: it gets a third of the server's share of a processor that
 * both want (sched(7)), and all of one that nobody else wants.
 */
const BEHIND = 5
const { PRIORITY_LOW } = constants.priority

const living = new Set<number>()

/**
 * Keeps a processor for the server, which all readers wait for. When more agents live than there are processors, all
 * agents and what they start from then on get a lower priority. Fewer agents keep theirs: on a machine that others keep
 * busy, an agent with a lower priority than this server comes after everybody else, too.
 */
export function putBehind(agent: ChildProcess): void {
  const { pid } = agent
  if (pid === undefined) return
  living.add(pid)
  agent.once('exit', () => living.delete(pid))
  if (living.size > availableParallelism()) for (const each of living) lower(each)
}

/**
 * Lowers the threads and the session of one agent. Where Linux shares a processor between sessions first (autogroup in
 * sched(7)), an agent is a session of its own and the session's value counts. Only root may set more than one session
 * value in a tenth of a second.
 */
function lower(pid: number): void {
  unlessRefused(() => {
    for (const thread of readdirSync(`/proc/${pid}/task`)) setPriority(Number(thread), behind(getPriority()))
  })
  unlessRefused(() => {
    // The file is empty for a process that has been in no session since the system started.
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))?.[1] ?? 0
    writeFileSync(`/proc/${pid}/autogroup`, String(behind(Number(own))))
  })
}

function behind(priority: number): number {
  return Math.min(priority + BEHIND, PRIORITY_LOW)
}

/** Ignores a failure: the process has ended, the system lacks the feature, or this user may not use it. */
function unlessRefused(work: () => void): void {
  try {
    work()
  } catch {
    // Ignored, as said above.
  }
}
