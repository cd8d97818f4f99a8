// An output that does not pause is read in larger pieces. One that pauses is passed on as it comes.
import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import { text } from 'node:stream/consumers'
import { afterEach, beforeEach, expect, onTestFinished, test, vi } from 'vitest'
import { paced } from '../../../src/claude/process/pace.ts'
import { spawnDetached } from '../../../src/claude/process/spawning.ts'

const AT_ONCE = 16
const EVERY_MS = 3

// Time passes only where a test says so.
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] }))
afterEach(() => void vi.useRealTimers())

/** Lets the streams pass on what they may. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 100; turn++) await new Promise(setImmediate)
}

async function pass(ms: number): Promise<void> {
  await vi.advanceTimersByTimeAsync(ms)
  await settle()
}

/** An output, what of it was passed on, and a writer of pieces that wait for each other. */
function outputOf() {
  const source = new PassThrough({ highWaterMark: 1 })
  const seen: string[] = []
  const output = paced(source).on('data', (piece) => seen.push(`${piece}`))
  const write = async (pieces: number): Promise<void> => {
    for (let piece = 0; piece < pieces; piece++) if (!source.write('x')) await once(source, 'drain')
  }
  return { source, output, seen, write }
}

test('after the first pieces one is read every few milliseconds', async () => {
  const { seen, write } = outputOf()
  void write(AT_ONCE + 20)
  await settle()
  expect(seen).toHaveLength(AT_ONCE)
  for (let count = AT_ONCE + 1; count < AT_ONCE + 10; count++) {
    await pass(EVERY_MS)
    expect(seen).toHaveLength(count)
  }
})

test('what comes after a pause is passed on at once', async () => {
  const { seen, write } = outputOf()
  await write(AT_ONCE - 1)
  await pass(AT_ONCE * EVERY_MS)
  void write(AT_ONCE)
  await settle()
  expect(seen).toHaveLength(AT_ONCE - 1 + AT_ONCE)
})

test('a piece every few milliseconds never waits', async () => {
  const { seen, write } = outputOf()
  for (let count = 1; count < 5 * AT_ONCE; count++) {
    await write(1)
    await pass(EVERY_MS)
    expect(seen).toHaveLength(count)
  }
})

test('an output that waits comes whole when it ends', async () => {
  const { source, output, seen, write } = outputOf()
  const ended = once(output, 'end')
  await write(AT_ONCE)
  source.end('the last')
  await pass(EVERY_MS)
  await pass(EVERY_MS)
  await ended
  expect(seen.slice(AT_ONCE)).toEqual(['the last'])
})

test('an output that is destroyed while it waits ends', async () => {
  const { source, output, seen, write } = outputOf()
  const ended = once(output, 'end')
  await write(AT_ONCE)
  source.destroy()
  await pass(EVERY_MS)
  await ended
  expect(seen).toHaveLength(AT_ONCE)
})

test('what a process writes meanwhile is left to the system, and read at once', async () => {
  const lines = Array.from({ length: 100 }, (_, index) => `line ${index}`)
  const script = 'for i in $(seq 0 99); do echo "line $i"; done; echo done >&2; read -r _'
  const spawning = { mark: 'pace', observed: () => ({ threadId: 't' }) }
  const options = { command: '/bin/bash', args: ['-c', script], env: { PATH: process.env['PATH'] } }
  const { stdout, stderr, stdin } = spawnDetached(
    { ...options, signal: new AbortController().signal },
    spawning,
    undefined,
  )
  onTestFinished(() => void stdin.end())
  const whole = text(stdout)
  let pieces = 0
  stdout.on('data', () => pieces++)
  await once(stderr ?? stdout, 'data')
  await settle()
  expect(pieces).toBeLessThanOrEqual(AT_ONCE)
  await pass(EVERY_MS)
  await pass(EVERY_MS)
  expect(pieces).toBeLessThanOrEqual(AT_ONCE + 2)
  stdin.end('\n')
  expect((await whole).trim().split('\n')).toEqual(lines)
  expect(pieces).toBeLessThanOrEqual(AT_ONCE + 3)
})
