import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { frames, post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'
import { VOLUME } from '../support/volume.ts'

const MIB = 1024 * 1024
/** Events of a long answer. */
const LONG = VOLUME < 5 ? 5000 : 20_000
/** Such runs behind the first one. */
const ROUNDS = VOLUME
/** Events of 6400 characters: 22 MiB in all. */
const WIDE = 3400
const BIG = Array.from({ length: 100_000 }, (_, index) => `line ${index} "ü\u{1f600}"\n`)
  .join('')
  .slice(0, MIB)

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'stream (\\d+)' }, reply: [{ deltas: { count: '{{1}}', text: '{{n}} ' } }] },
    // More than the kernel's buffers take in the place of a reader.
    {
      when: { prompt: 'wide (\\d+)' },
      reply: [{ deltas: { count: '{{1}}', text: `{{n}} ${'x'.repeat(6400)}` } }],
    },
    {
      when: { prompt: 'write', round: 0 },
      reply: [{ tool: 'Write', input: { file_path: '{{cwd}}/big.txt', content: BIG }, pieces: 2000 }],
    },
    { reply: 'Done.' },
  ],
}

let bench: Bench
let runner: RunnerProcess
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start()
})
afterAll(() => bench.close())

const numbers = (count: number): string =>
  Array.from({ length: count }, (_, index) => `${index + 1} `).join('')

function statusBytes(pid: number, name: string): number {
  const line = readFileSync(`/proc/${pid}/status`, 'utf8')
    .split('\n')
    .find((text) => text.startsWith(`${name}:`))
  return Number(line?.match(/\d+/)?.[0]) * 1024
}

const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS')
/** Without the pages of the log's file, which the system lends. */
const anonymousBytes = (pid: number): number => statusBytes(pid, 'RssAnon')

test(`an answer of ${LONG} deltas arrives whole, each as its own event`, async () => {
  const all = await run(runner.url, runInput('deltas', `stream ${LONG}`))
  expect(all.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT')).toHaveLength(LONG)
  expect(textOf(all)).toBe(numbers(LONG))
})

test('1 MB of tool arguments arrives whole', async () => {
  const all = await run(runner.url, runInput('arguments', 'write it'))
  const args = all.filter(({ type }) => type === 'TOOL_CALL_ARGS').map((event) => String(event['delta']))
  expect(args.length).toBeGreaterThan(100)
  expect(JSON.parse(args.join(''))).toMatchObject({ content: BIG })
  expect(readFileSync(`${bench.workspace}/big.txt`, 'utf8')).toBe(BIG)
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
})

test(`${ROUNDS * LONG} events leave the memory of the server as it was`, { timeout: 120_000 }, async () => {
  const stream = async (threadId: string): Promise<number> => {
    let count = 0
    for await (const _frame of frames(await post(runner.url, runInput(threadId, `stream ${LONG}`))))
      count += 1
    return count
  }
  // The first run is that of the test before.
  const before = residentBytes(runner.pid)
  let events = 0
  for (let index = 1; index <= ROUNDS; index++) events += await stream(`memory-${index % 3}`)
  const after = residentBytes(runner.pid)
  const mib = (bytes: number): string => `${(bytes / MIB).toFixed(1)} MiB`
  console.log(`${events} events: ${mib(before)} before, ${mib(after)} after, ${mib(after - before)} more`)
  expect(events).toBeGreaterThan(ROUNDS * LONG)
  expect(after - before).toBeLessThan(80 * MIB)
})

test('readers that stopped hold nobody up, cost little, and get everything when they go on', {
  timeout: 150_000,
}, async () => {
  await run(runner.url, runInput('stopped', 'hello'))
  // The same run without them: what it costs by itself is not theirs.
  await run(runner.url, runInput('warm', `wide ${WIDE}`))
  const before = anonymousBytes(runner.pid)
  const { hostname, port } = new URL(runner.url)
  const streams = Array.from({ length: 8 }, () => {
    const socket = connect(Number(port), hostname)
    socket.write(`GET /sessions/stopped/events HTTP/1.0\r\nhost: ${hostname}\r\n\r\n`)
    return socket.pause()
  })
  const sockets = await Promise.all(Array.from({ length: 8 }, () => openSocket(runner.url)))
  for (const { send, frame, socket } of sockets) {
    send({ type: 'subscribe', threadId: 'stopped' })
    await frame(({ seq }) => seq === 1)
    socket.pause()
  }
  const all = await run(runner.url, runInput('stopped', `wide ${WIDE}`))
  expect(all.filter(({ type }) => type === 'TEXT_MESSAGE_CONTENT')).toHaveLength(WIDE)
  const grown = anonymousBytes(runner.pid) - before
  console.log(`sixteen stopped readers of 22 MiB each: ${(grown / MIB).toFixed(1)} MiB more`)
  // Held for good, 16 × 22 MiB and more; below that it is garbage not collected yet (bench: nothing is held after it).
  expect(grown).toBeLessThan(320 * MIB)

  let last = 0
  for (const { frames: told, frame, socket, close } of sockets) {
    socket.resume()
    await frame(({ seq, event }) => seq !== undefined && seq > WIDE && event?.type === 'RUN_FINISHED')
    const seqs = told.flatMap(({ seq }) => seq ?? [])
    last = seqs.length
    expect(seqs).toEqual(seqs.map((_seq, index) => index + 1))
    await close()
  }
  for (const socket of streams) {
    const chunks: Buffer[] = []
    for await (const chunk of socket) {
      chunks.push(chunk)
      // The last id may lie across two chunks.
      if (Buffer.concat(chunks.slice(-2)).includes(`id: ${last}\n`)) break
    }
    const text = Buffer.concat(chunks).toString()
    const seqs = [...text.matchAll(/^id: (\d+)$/gm)].map(([, seq]) => Number(seq))
    expect(seqs).toEqual(seqs.map((_seq, index) => index + 1))
    expect(seqs).toHaveLength(last)
    socket.destroy()
  }
})
