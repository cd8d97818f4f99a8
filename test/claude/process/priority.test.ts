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
  for (const { pid } of agents.splice(0)) process.kill(-Number(pid), 'SIGKILL')
  await Promise.all(ends)
})

interface Agent {
  /** Of what was spawned, which leads a session of its own. */
  pid: number
  /** As a sandbox has it: what was spawned, and its child with threads, which has said that it is there. */
  pids: number[]
}

async function startAgent(): Promise<Agent> {
  const program = 'console.log(process.pid); setInterval(() => {}, 1000)'
  const agent = spawn('/bin/sh', ['-c', '"$0" --eval "$1"; :', process.execPath, program], { detached: true })
  agents.push(agent)
  const child = Number(String(await once(agent.stdout, 'data')))
  putBehind(agent)
  return { pid: Number(agent.pid), pids: [Number(agent.pid), child] }
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

test('one more agent than processors, and all of them stand behind, each process, thread and session', async () => {
  const started: Agent[] = []
  for (let count = 0; count < availableParallelism(); count++) started.push(await startAgent())
  const priorities = (): Set<number> => new Set(started.flatMap(({ pids }) => pids).flatMap(prioritiesOf))
  expect(priorities()).toEqual(new Set([0]))
  started.push(await startAgent())
  expect(priorities()).toEqual(new Set([5]))
  const leaders = started.map(({ pid }) => pid)
  if (leaders.every(maySetSession))
    expect(leaders.map(sessionOf)).toEqual(leaders.map(() => (sessionOf('self') ?? 0) + 5))
})

test('those that have ended are not counted', async () => {
  for (let count = 0; count < availableParallelism(); count++) await startAgent()
  const [eldest] = agents.splice(0, 1)
  const ended = once(eldest as ChildProcess, 'exit')
  process.kill(-Number(eldest?.pid), 'SIGKILL')
  await ended
  const { pid } = await startAgent()
  expect(prioritiesOf(pid)).toContain(0)
})
