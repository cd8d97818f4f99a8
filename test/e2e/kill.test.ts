import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { type ClientEvent, post, run, runInput, textOf } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { createRandom } from '../support/random.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'
import { Witness } from '../support/witness.ts'

const KILLS = Number(process.env['AGUI_KILLS'] ?? 6)
const SEED = Number(process.env['AGUI_SEED'] ?? Date.now() % 1_000_000)
const THREAD = 'killed'

/** Think, talk, run a command, talk: each run tells about 140 events in a third of a second. */
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'work', round: 0 },
      reply: [
        { thinking: 'Let me think about it.', signature: 'sig', pieces: 5 },
        { deltas: { count: 50, perSecond: 500, text: 'a{{n}} ' } },
        { tool: 'Bash', input: { command: 'echo from-bash', description: 'say it' }, pieces: 10 },
      ],
    },
    { when: { prompt: 'work' }, reply: [{ deltas: { count: 60, perSecond: 500, text: 'b{{n}} ' } }] },
    { reply: 'You said: {{prompt}}' },
  ],
}
const EVENTS_MAX = 150

let bench: Bench
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
})
afterAll(() => bench.close())

function recordsIn(text: string): [seq: number, json: string][] {
  return [...text.matchAll(/^id: (\d+)\ndata: (.*)$/gm)].map(([, seq, json]) => [Number(seq), json ?? ''])
}

async function logOf(runner: RunnerProcess): Promise<[seq: number, json: string][]> {
  const response = await fetch(`${runner.url}/sessions/${THREAD}/events?follow=false`)
  return recordsIn(await response.text())
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}

/** Starts a run, watches it through two clients, and kills the runner when one of them has seen so many records. */
async function killAt(runner: RunnerProcess, witness: Witness, records: number): Promise<string> {
  const before = witness.records.size
  const input = runInput(THREAD, `work please ${crypto.randomUUID()}`)
  let seen = 0
  const reached = deferred()
  const onRecord = (): void => {
    seen += 1
    if (seen >= records) reached.resolve()
  }
  const posted = post(runner.url, input)
    .then(({ body }) => witness.watch(body, onRecord))
    .catch((error: unknown) => {
      if (!(error instanceof TypeError)) throw error
    })
    .finally(() => reached.resolve())
  const followed = fetch(`${runner.url}/sessions/${THREAD}/events?after=${before}`)
    .then(({ body }) => witness.watch(body, () => undefined))
    .catch((error: unknown) => {
      if (!(error instanceof TypeError)) throw error
    })
  if (records === 0) for (let turns = 0; turns < 20; turns++) await turn()
  else await reached.promise
  await runner.stop('SIGKILL')
  await Promise.all([posted, followed])
  return input.runId
}

/** What became of each run: legal is one opening and one terminal event each, with nothing outside. */
function endsOf(events: readonly ClientEvent[]): Map<string, string> {
  const ends = new Map<string, string>()
  let open: string | undefined
  for (const event of events) {
    if (event.type === 'RUN_STARTED') {
      expect(open, 'a run was not closed').toBeUndefined()
      open = String(event['runId'])
    } else expect(open, `${event.type} is outside a run`).toBeDefined()
    if (event.type !== 'RUN_FINISHED' && event.type !== 'RUN_ERROR') continue
    ends.set(open ?? '', event.type === 'RUN_ERROR' ? event['code'] : event['outcome'].type)
    open = undefined
  }
  expect(open, 'the last run was not closed').toBeUndefined()
  return ends
}

/** The log in a Redis that writes what it confirms; every other time it is killed as well. */
async function inRedis(): Promise<Store> {
  const redis = await RedisServer.start({ settings: { appendonly: 'yes', appendfsync: 'always' } })
  let kills = 0
  return {
    env: { EVENT_LOG_URL: redis.url, RUNNER_STATE_DIR: join(bench.directory, 'on-redis') },
    async killed() {
      kills += 1
      if (kills % 2 === 0) return
      await redis.stop('SIGKILL')
      await redis.start()
    },
    close: () => redis.close(),
  }
}

interface Store {
  env: Record<string, string>
  /** The runner was. */
  killed(): Promise<void>
  close(): Promise<void>
}

const embedded = async (): Promise<Store> => ({ env: {}, killed: async () => {}, close: async () => {} })

test.each(
  oneOrAll([
    ['the embedded store', KILLS, embedded] as const,
    ['Redis', Math.ceil(KILLS / 2), inRedis] as const,
  ]),
)(
  'with %s, killed at %i random moments, the runner loses nothing that anybody saw',
  {
    timeout: KILLS * 10_000,
  },
  async (_where, kills, openStore) => {
    const store = await openStore()
    onTestFinished(() => store.close())
    const start = (): Promise<RunnerProcess> => bench.start(store.env)
    const random = createRandom(SEED)
    const witness = new Witness()
    const counts = { kills: 0, cut: 0, completed: 0, neverBegun: 0 }
    let runner = await start()
    await run(runner.url, runInput(THREAD, 'remember ultramarine'))
    const killed: string[] = []
    for (; counts.kills < kills; counts.kills += 1) {
      killed.push(await killAt(runner, witness, random(EVENTS_MAX)))
      await store.killed()
      runner = await start()
      const log = await logOf(runner)
      expect(log.map(([seq]) => seq)).toEqual(log.map((_record, index) => index + 1))
      const held = new Map(log)
      expect(witness.differences(held)).toEqual([])
      const ends = endsOf(log.map(([, json]) => JSON.parse(json)))
      for (const runId of killed)
        expect(['runner_restarted', 'success', undefined]).toContain(ends.get(runId))
    }
    const log = await logOf(runner)
    const events = log.map(([, json]): ClientEvent => JSON.parse(json))
    const ends = endsOf(events)
    for (const runId of killed) {
      const end = ends.get(runId)
      counts[end === 'runner_restarted' ? 'cut' : end === 'success' ? 'completed' : 'neverBegun'] += 1
    }
    console.log(
      `seed ${SEED}:`,
      counts,
      `${witness.records.size} of ${log.length} records were seen, none is lost`,
    )
    // Legal for the reference client, from the first event to the last.
    await messagesOf(events, THREAD)
    expect(counts.cut).toBeGreaterThan(kills / 4)
    expect(events.filter((event) => event['name'] === 'agui-runner.session_reset')).toEqual([])
    expect(textOf(await run(runner.url, runInput(THREAD, 'still there?')))).toBe('You said: still there?')
    expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember ultramarine')
    await runner.stop()
  },
)
