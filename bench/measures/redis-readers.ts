import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { putFacts } from '../../src/thread/thread-table.ts'
import { delta, span } from '../../test/support/event-log.ts'
import { RedisServer } from '../../test/support/redis-server.ts'
import { postRun, startRun } from '../support/client.ts'
import { halves, pin } from '../support/cores.ts'
import type { Measure, Row } from '../support/measure.ts'
import { cpuMs, toMib } from '../support/proc.ts'
import { Readers } from '../support/readers.ts'
import { compare, interleave, type Pair, spreadOf } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const READERS = 100
const READERS_APART = 1000
/** As a fast stream gathers them. */
const BATCH = 20
const STORED = 100_000
const THREADS = 20
const LOSS_MAX = 0.05
const GROWTH_MAX = 0.1
const RETENTION_BYTES = 1024 ** 3
const MANY = { SUBSCRIBERS_MAX: '4000', OTHER_CONNECTIONS_MAX: '4000' }
/** The runner whose threads they are. */
const OWNER = 'bench'
const prompt = `stream ${DELTAS}`

export const redisReaders: Measure = {
  name: 'redis-readers',
  title:
    'The log in Redis beside the embedded one: 100 readers, 1,000 in a process apart, processor time, growth, memory',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const server = await RedisServer.start()
  const env = { EVENT_LOG_URL: server.url }
  try {
    const [shared, embedded] = await Promise.all([workshop.runner({ env }), workshop.runner()])
    const rows = [
      ...(await fanOut(workshop, shared, embedded)),
      ...(await processorTime(workshop, server, { shared, embedded })),
    ]
    await embedded.close()
    rows.push(...(await readersApart(workshop, server, shared)))
    await shared.close()
    return [...rows, ...(await growth(workshop)), ...(await memory(workshop))]
  } finally {
    await server.close()
  }
}

/** All of a run to 100 readers, while it goes on and when it is stored. */
async function fanOut(workshop: Workshop, shared: RunnerHandle, embedded: RunnerHandle): Promise<Row[]> {
  const readers = new Readers(workshop)
  const check = async (done: ReturnType<Readers['connect']>): Promise<void> => {
    const { deltas } = await (await done).done
    if (!deltas.every((count) => count === DELTAS)) throw new Error('a reader missed something')
  }
  let threads = 0
  const live =
    ({ url }: RunnerHandle) =>
    async (): Promise<number> => {
      const threadId = `live-${threads++}`
      await postRun(url, { threadId, prompt: 'hello' })
      const { done } = await readers.connect(`${url}/sessions/${threadId}/events?after=-1&until=run`, READERS)
      const start = performance.now()
      await startRun(url, { threadId, prompt })
      await check(Promise.resolve({ done }))
      return performance.now() - start
    }
  const stored =
    ({ url }: RunnerHandle) =>
    async (): Promise<number> => {
      const start = performance.now()
      await check(readers.connect(`${url}/sessions/stored/events?after=0&follow=false`, READERS))
      return performance.now() - start
    }
  for (const { url } of [shared, embedded]) await postRun(url, { threadId: 'stored', prompt })
  const both = async (side: typeof live, count: number): Promise<Pair> => {
    const sides = { ours: side(shared), reference: side(embedded) }
    await interleave(1, sides)
    return await interleave(workshop.repetitions(count), sides)
  }
  const against = 'embedded store'
  const [whileItRuns, later] = [await both(live, 6), await both(stored, 12)]
  return [
    {
      label: '100 readers of a run under way',
      unit: 'ms',
      ...whileItRuns,
      against,
      ...compare(whileItRuns, 'speed'),
    },
    { label: '100 readers of a stored run', unit: 'ms', ...later, against, ...compare(later, 'speed') },
  ]
}

/** Of a process, for an event of a run; the run goes to one reader. */
async function perEvent(pids: readonly number[], url: string): Promise<number[]> {
  const before = pids.map(cpuMs)
  const { deltas } = await postRun(url, { threadId: 'costs', prompt })
  return pids.map((pid, at) => ((cpuMs(pid) - (before[at] ?? 0)) / deltas) * 1000)
}

async function processorTime(
  workshop: Workshop,
  server: RedisServer,
  { shared, embedded }: { shared: RunnerHandle; embedded: RunnerHandle },
): Promise<Row[]> {
  const redis: number[] = []
  const sides = {
    async ours() {
      const [runner = 0, store = 0] = await perEvent([shared.pid, server.pid], shared.url)
      redis.push(store)
      return runner
    },
    reference: async () => (await perEvent([embedded.pid], embedded.url))[0] ?? 0,
  }
  await interleave(1, sides)
  redis.length = 0
  const pair = await interleave(workshop.repetitions(10), sides)
  return [
    {
      label: "the runner's processor time an event",
      unit: 'µs',
      ...pair,
      against: 'embedded store',
      ...compare(pair, 'cost'),
    },
    { label: "Redis' processor time an event", unit: 'µs', ours: spreadOf(redis) },
  ]
}

/**
 * What 1,000 readers of another process cost the runner. Where there are two processors or more, that process and its
 * clients have one half of them, and everything that a run needs has the other, whether anybody reads or not.
 */
async function readersApart(workshop: Workshop, server: RedisServer, runner: RunnerHandle): Promise<Row[]> {
  const env = { EVENT_LOG_URL: server.url, ...MANY }
  const apart = await workshop.runner({ env, command: 'read' })
  const readers = new Readers(workshop)
  const cores = halves()
  const runs = [process.pid, runner.pid, server.pid, workshop.mockPid]
  if (cores !== undefined) {
    // This process' children are among the second half.
    for (const pid of runs) pin(pid, cores.first)
    for (const pid of [apart.pid, readers.pid]) pin(pid, cores.second)
  }
  const used: Record<'ours' | 'reference', number[]> = { ours: [], reference: [] }
  const round = async (side: 'ours' | 'reference'): Promise<number> => {
    const before = cpuMs(runner.pid)
    const { deltas, lastMs } = await postRun(runner.url, { threadId: 'costs', prompt })
    used[side].push(((cpuMs(runner.pid) - before) / deltas) * 1000)
    return (deltas / lastMs) * 1000
  }
  await postRun(runner.url, { threadId: 'costs', prompt: 'hello' })
  const url = `${apart.url}/sessions/costs/events?after=-1&until=run`
  const sides = {
    async ours() {
      const { done } = await readers.connect(url, READERS_APART)
      const rate = await round('ours')
      const { deltas } = await done
      if (deltas.length !== READERS_APART || !deltas.every((count) => count === DELTAS))
        throw new Error('a reader missed something')
      return rate
    },
    reference: () => round('reference'),
  }
  await interleave(1, sides)
  for (const side of Object.values(used)) side.length = 0
  const rates = await interleave(workshop.repetitions(8), sides)
  if (cores !== undefined) pin(process.pid, cores.all)
  await apart.close()
  const [rate, costs] = [
    compare(rates, 'rate'),
    { ours: spreadOf(used.ours), reference: spreadOf(used.reference) },
  ]
  const against = 'nobody reads there'
  const how = cores === undefined ? 'on the one processor of all' : 'on processors of their own'
  // On one processor the readers take what the run lacks, whoever serves them.
  const target = cores === undefined ? {} : { target: 'at least 0.95', pass: rate.ratio >= 1 - LOSS_MAX }
  return [
    {
      label: `1,000 readers apart, ${how}: deltas of the run`,
      unit: '/s',
      ...rates,
      against,
      ...rate,
      ...target,
    },
    {
      label: "1,000 readers apart: the runner's processor time an event",
      ...{ unit: 'µs', ...costs, against, ...compare(costs, 'cost') },
    },
  ]
}

/** Of a runner that holds 10 times the threads. */
async function growth(workshop: Workshop): Promise<Row[]> {
  const sides: { runner: RunnerHandle; server: RedisServer }[] = []
  for (const threads of [10 * THREADS, THREADS]) {
    const server = await RedisServer.start()
    const storage = await redisStorage(server)
    for (const number of span(1, threads)) await fill(storage, `other-${number}`, 500)
    await storage.close()
    const state = workshop.folder()
    const folder = workshop.environment(state)['RUNNER_STATE_DIR'] ?? state
    mkdirSync(folder)
    writeFileSync(join(folder, 'runner-id'), OWNER)
    sides.push({ runner: await workshop.runner({ state, env: { EVENT_LOG_URL: server.url } }), server })
  }
  const [ours, reference] = sides.map(({ runner, server }) => async (): Promise<number> => {
    const used = await perEvent([runner.pid, server.pid], runner.url)
    return used.reduce((sum, each) => sum + each, 0)
  })
  if (ours === undefined || reference === undefined) throw new Error('no sides')
  await interleave(1, { ours, reference })
  const pair = await interleave(workshop.repetitions(8), { ours, reference })
  for (const { runner, server } of sides) {
    await runner.close()
    await server.close()
  }
  const cost = compare(pair, 'cost')
  return [
    {
      label: "10× threads: the runner's and Redis' processor time an event",
      ...{ unit: 'µs', ...pair, against: `${THREADS} threads`, ...cost },
      ...{ target: 'at most 10 % more', pass: cost.ratio <= 1 + GROWTH_MAX },
    },
  ]
}

/** What 100,000 deltas take: in Redis' memory, and in the file of the embedded store. */
async function memory(workshop: Workshop): Promise<Row[]> {
  const server = await RedisServer.start()
  const used = async (): Promise<number> =>
    Number(/used_memory:(\d+)/.exec(String(await server.ask('INFO', 'memory')))?.[1])
  const storage = await redisStorage(server)
  const before = await used()
  await fill(storage, 'filled', STORED)
  const taken = (await used()) - before
  await storage.close()
  await server.close()
  const file = await LmdbStorage.open(`${workshop.folder()}/store`, { retentionBytes: RETENTION_BYTES })
  const empty = await file.log.usedBytes()
  await fill(file, 'filled', STORED)
  const stored = (await file.log.usedBytes()) - empty
  await file.close()
  return [
    {
      label: '100,000 events in commits of 20',
      ...{
        unit: 'MiB',
        ours: toMib(taken),
        reference: toMib(stored),
        against: 'the file of the embedded store',
      },
      ratio: taken / stored,
    },
  ]
}

function redisStorage(server: RedisServer): Promise<RedisStorage> {
  const own = { runnerId: OWNER, runnerUrl: 'http://bench', leaseMs: 60_000 }
  return RedisStorage.open({ url: server.url, ...own, retentionBytes: RETENTION_BYTES })
}

async function fill(storage: Storage, threadId: string, records: number): Promise<void> {
  const now = Date.now()
  const facts = { createdAt: now, updatedAt: now, lastOutcome: 'success', memory: {}, usage: [] } as const
  await storage.commit({ threadId, writes: [putFacts(threadId, { ...facts, usage: [] })] })
  for (let at = 0; at < records; at += BATCH)
    await storage.commit({
      threadId,
      append: {
        runId: 'run',
        events: span(at + 1, Math.min(at + BATCH, records)).map((seq) => delta(`${seq} of many`)),
      },
    })
}
