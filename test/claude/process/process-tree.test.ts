import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { killTree, MARK_VARIABLE, processesOf } from '../../../src/claude/process/process-tree.ts'

const mark = `tree-test-${process.pid}`
let count = 0
let own = ''
const nextMark = (): string => {
  own = `${mark}-${count++}:`
  return own
}
afterEach(() => killTree(own, { timeoutMs: 5000 }))

/** A shell that says the pids it is asked to and then waits. */
async function start(script: string, env: Record<string, string> = {}) {
  const child = spawn('/bin/sh', ['-c', script], {
    env: { PATH: process.env['PATH'], ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
    detached: true,
  })
  const [line] = await once(createInterface({ input: child.stdout }), 'line')
  return { child, pids: String(line).split(' ').map(Number), exited: once(child, 'exit') }
}

const pidsOf = (root?: number): number[] => processesOf(own, root).map(({ pid }) => pid)

test('finds what left its parent by its mark, and what cleared its environment by its parent', async () => {
  const env = { [MARK_VARIABLE]: `${nextMark()}a` }
  // A marked one whose parent is gone; an unmarked child of the root.
  const script =
    'lost=$(setsid sh -c "sleep 300 >/dev/null & echo \\$!"); env -i sleep 300 >/dev/null & echo $$ $lost $!; wait'
  const { child, pids } = await start(script, env)
  expect(pidsOf(child.pid).sort()).toEqual(expect.arrayContaining(pids.toSorted()))
  await killTree(own, { known: processesOf(own, child.pid), timeoutMs: 5000 })
  expect(pidsOf()).toEqual([])
  // One that is dead and not yet waited for has a pid; it is in no tree.
  expect(pids.flatMap((pid) => pidsOf(pid))).toEqual([])
})

test('a known process is killed as itself only: a pid that is another’s by now is left alone', async () => {
  const { child, pids, exited } = await start('echo $$; read line')
  nextMark()
  const [pid = 0] = pids
  await killTree(own, { known: [{ pid, started: '1' }], timeoutMs: 5000 })
  expect(child.signalCode).toBeNull()
  child.stdin.end('\n')
  expect((await exited)[1]).toBeNull()
})

test('one that forks while it is killed leaves nothing', async () => {
  const env = { [MARK_VARIABLE]: `${nextMark()}a` }
  const { exited } = await start('echo $$; while :; do sleep 300 & sleep 0.01; done', env)
  await killTree(own, { timeoutMs: 10_000 })
  await exited
  expect(pidsOf()).toEqual([])
})

test('never names the runner itself', () => {
  nextMark()
  expect(pidsOf(process.pid)).not.toContain(process.pid)
})
