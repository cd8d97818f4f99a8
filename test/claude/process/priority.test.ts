// More agents than processors stand behind the server; fewer stand beside it.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { availableParallelism, getPriority } from 'node:os'
import { afterEach, expect, test } from 'vitest'
import { putBehind } from '../../../src/claude/process/priority.ts'

const agents: ChildProcess[] = []
afterEach(async () => {
  const ends = agents.map((agent) => once(agent, 'exit'))
  for (const agent of agents.splice(0)) agent.kill('SIGKILL')
  await Promise.all(ends)
})

/** A session of its own, with threads, that has said that it is there. */
async function startAgent(): Promise<number> {
  const program = 'console.log("there"); setInterval(() => {}, 1000)'
  const agent = spawn(process.execPath, ['--eval', program], { detached: true })
  agents.push(agent)
  await once(agent.stdout, 'data')
  putBehind(agent)
  return Number(agent.pid)
}

const prioritiesOf = (pid: number): number[] =>
  readdirSync(`/proc/${pid}/task`).map((thread) => getPriority(Number(thread)) - getPriority())

/** The value of a process' session, or nothing where the kernel has put the process into none. */
function sessionOf(pid: number | 'self'): number | undefined {
  const value = / nice (-?\d+)/.exec(readFileSync(`/proc/${pid}/autogroup`, 'utf8'))?.[1]
  return value === undefined ? undefined : Number(value)
}

/** Whether the kernel shares by session here, and this user may set as many of them as he likes. */
function maySetSession(pid: number): boolean {
  try {
    for (const _twice of [1, 2]) writeFileSync(`/proc/${pid}/autogroup`, String(sessionOf(pid)))
    return true
  } catch {
    return false
  }
}

test('one more agent than processors, and all of them stand behind, each thread and each session', async () => {
  const pids: number[] = []
  for (let count = 0; count < availableParallelism(); count++) pids.push(await startAgent())
  expect(new Set(pids.flatMap(prioritiesOf))).toEqual(new Set([0]))
  pids.push(await startAgent())
  expect(new Set(pids.flatMap(prioritiesOf))).toEqual(new Set([5]))
  if (pids.every(maySetSession))
    expect(pids.map(sessionOf)).toEqual(pids.map(() => (sessionOf('self') ?? 0) + 5))
})

test('those that have ended are not counted', async () => {
  for (let count = 0; count < availableParallelism(); count++) await startAgent()
  const [eldest] = agents.splice(0, 1)
  const ended = once(eldest as ChildProcess, 'exit')
  eldest?.kill('SIGKILL')
  await ended
  expect(prioritiesOf(await startAgent())).toContain(0)
})
