import { readFileSync, writeFileSync } from 'node:fs'
import { constants, getPriority, setPriority } from 'node:os'

/** An agent has a third of the server's share of a processor that both want, and all of one that nobody else wants. */
const BEHIND = 5
const { PRIORITY_LOW } = constants.priority

/**
 * Puts a process that was just started, and all that it will start, behind this one: agents at full speed keep every
 * processor busy, and the server, which all readers wait for, would be one of many that want one.
 *
 * Where Linux shares a processor between sessions first (sched(7), autogroup), an agent is a session of its own, and the
 * value of the session is the one that counts. Only root may set more than one of those in a tenth of a second.
 */
export function putBehind(pid: number): void {
  unlessRefused(() => setPriority(pid, behind(getPriority())))
  unlessRefused(() => {
    const own = / nice (-?\d+)/.exec(readFileSync('/proc/self/autogroup', 'utf8'))?.[1]
    if (own !== undefined) writeFileSync(`/proc/${pid}/autogroup`, String(behind(Number(own))))
  })
}

function behind(priority: number): number {
  return Math.min(priority + BEHIND, PRIORITY_LOW)
}

/** It may have ended, the system may not have such a thing, or this user may not do it: then it works as it is. */
function unlessRefused(work: () => void): void {
  try {
    work()
  } catch {
    // See above.
  }
}
