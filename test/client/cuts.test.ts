// A bad network and a runner that is killed, between the client and its thread: what it is told stays the log, record
// by record. AGUI_CUTS=500 AGUI_SEED=… for a long run.
import { type LogRecord, Runner, type Thread } from '@agui-runner/client'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { frames } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { createRandom } from '../support/random.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { startCuttingProxy } from './cutting-proxy.ts'

const CUTS = Number(process.env['AGUI_CUTS'] ?? 10)
const SEED = Number(process.env['AGUI_SEED'] ?? Date.now() % 1_000_000)
const QUICK = { retryMsMin: 1, retryMsMax: 20 }
/** Cuts that one thread lives through: a longer one would send the model more with every run. */
const ROUND = 50
const ROUNDS = Array.from({ length: Math.ceil(CUTS / ROUND) }, (_, index) => ({
  seed: SEED + index,
  cutsMax: Math.min(ROUND, CUTS - index * ROUND),
}))
/** Cuts a run lives through, about. */
const CUTS_A_RUN = 8

const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'work' },
      reply: [
        { thinking: 'Grüße 🙂', signature: 'sig', pieces: 3 },
        { deltas: { count: 150, perSecond: 400, text: 'ä{{n}}🙂 ' } },
      ],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let runner: RunnerProcess
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start({ REQUESTS_PER_MINUTE_MAX: '0' })
})
afterAll(() => bench.close())

/** The thread as the server itself has it, over a connection that nobody cuts. */
async function logOf(threadId: string): Promise<LogRecord[]> {
  const response = await fetch(`${runner.url}/sessions/${threadId}/events?follow=false`)
  const records: LogRecord[] = []
  // biome-ignore lint/suspicious/noExplicitAny: the events are compared with the client's, not read
  for await (const { id, event } of frames(response)) records.push({ seq: id, event: event as any })
  return records
}

const LAST_RUN = 'the-last-run'

/** The thread's records to the end of its last run; behind the fifth the tab does not read until `over`. */
async function readAll(thread: Thread, over: Promise<void> = Promise.resolve()): Promise<LogRecord[]> {
  const all: LogRecord[] = []
  for await (const record of thread.follow({ ...QUICK, wait: true })) {
    all.push(record)
    if (all.length === 5) await over
    if (record.event.type === 'RUN_FINISHED' && record.event.runId === LAST_RUN) break
  }
  return all
}

test.each(ROUNDS)(
  '$cutsMax cuts, delays, doubled requests and a killed runner (AGUI_SEED=$seed): every reader gets the log',
  {
    timeout: 60_000 + ROUND * 3000,
  },
  async ({ seed, cutsMax }) => {
    const proxy = await startCuttingProxy({ target: runner.url, seed, cutsMax })
    onTestFinished(() => proxy.close())
    const random = createRandom(seed)
    const threadId = `cut-${seed}`
    const thread = new Runner({ url: proxy.url }).thread(threadId)
    const over = deferred()
    const following = [readAll(thread), readAll(thread, over.promise)]

    const runs = new Map<string, LogRecord[]>()
    const runsMin = Math.max(3, Math.ceil(cutsMax / CUTS_A_RUN / 2))
    const killed = random(runsMin)
    while (runs.size < runsMin || proxy.cuts < cutsMax) {
      const run = await thread.run({ content: `work ${runs.size}` }, QUICK)
      const killAfter = runs.size === killed ? random(120) : undefined
      const records: LogRecord[] = []
      runs.set(run.runId, records)
      for await (const record of run) {
        records.push(record)
        if (records.length !== killAfter) continue
        await runner.stop('SIGKILL')
        runner = await bench.start({ REQUESTS_PER_MINUTE_MAX: '0' })
        proxy.target = runner.url
      }
    }
    proxy.behave()
    await (await thread.run({ content: 'the end', runId: LAST_RUN })).text()
    over.resolve()
    const log = await logOf(threadId)
    for (const told of await Promise.all(following)) expect(told).toEqual(log)
    expect(log.map(({ seq }) => seq)).toEqual(log.map((_record, index) => index + 1))
    const starts = log.filter(({ event }) => event.type === 'RUN_STARTED')
    expect(starts).toHaveLength(runs.size + 1)
    for (const [runId, records] of runs) expect(records).toEqual(recordsOf(log, runId))
    expect(proxy.cuts).toBeGreaterThanOrEqual(cutsMax)
  },
)

/** From the run's start to its end. */
function recordsOf(log: readonly LogRecord[], runId: string): LogRecord[] {
  const isStart = ({ event }: LogRecord): boolean => event.type === 'RUN_STARTED' && event.runId === runId
  const isEnd = ({ event }: LogRecord): boolean => event.type === 'RUN_FINISHED' || event.type === 'RUN_ERROR'
  const first = log.findIndex(isStart)
  return log.slice(first, log.findIndex((record, index) => index > first && isEnd(record)) + 1)
}

test('a page that holds nothing connects over the same network, in mid-run, and is told one legal stream', async () => {
  const bad = await startCuttingProxy({ target: runner.url, seed: SEED + 1, cutsMax: 12 })
  try {
    const thread = new Runner({ url: bad.url }).thread('connected')
    const run = await new Runner({ url: runner.url }).thread('connected').run({ content: 'work' })
    for await (const { event } of run) if (event.type === 'TEXT_MESSAGE_CONTENT') break
    const events = []
    for await (const event of thread.connect({ ...QUICK, until: 'run' })) events.push(event)
    expect(events.at(0)?.type).toBe('RUN_STARTED')
    expect(events.at(-1)?.type).toBe('RUN_FINISHED')
    const whole = (await logOf('connected')).map(({ event }) => event)
    const shown = await messagesOf(events, 'connected')
    expect(shown).toEqual(await messagesOf(whole, 'connected'))
  } finally {
    await bad.close()
  }
})
