import { Redis } from 'ioredis'
import { Batch } from '../../src/storage/batch.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import { delta, span } from '../../test/support/event-log.ts'
import { RedisServer } from '../../test/support/redis-server.ts'
import { postRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, interleave, type Pair } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
/** As a run gathers them in eight milliseconds (`thread/run.ts`) of 20,000 deltas a second, and of 2,500. */
const FAST = 160
const SLOW = 20
const PLAIN_SHARE_MIN = 0.7

export const redis: Measure = {
  name: 'redis',
  title: 'The log in Redis beside the embedded one, and beside plain XADD and XRANGE of the same bytes',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const server = await RedisServer.start()
  try {
    return [
      ...(await besideEmbedded(workshop, server)),
      ...(await besidePlain(workshop, server, FAST)),
      ...(await besidePlain(workshop, server, SLOW)),
    ]
  } finally {
    await server.close()
  }
}

/** The same runner on the one store and on the other. */
async function besideEmbedded(workshop: Workshop, server: RedisServer): Promise<Row[]> {
  const [shared, embedded] = await Promise.all([
    workshop.runner({ env: { EVENT_LOG_URL: server.url } }),
    workshop.runner(),
  ])
  const first = (runner: RunnerHandle) => async (): Promise<number> =>
    (await postRun(runner.url, { threadId: 'warm', prompt: 'hello' })).firstMs
  const stream = (runner: RunnerHandle) => async (): Promise<number> => {
    const { lastMs, deltas } = await postRun(runner.url, { threadId: 'warm', prompt: `stream ${DELTAS}` })
    if (deltas !== DELTAS) throw new Error(`${deltas} of ${DELTAS} deltas came`)
    return (deltas / lastMs) * 1000
  }
  const both = async (side: typeof first, count: number): Promise<Pair> => {
    const sides = { ours: side(shared), reference: side(embedded) }
    await interleave(1, sides)
    return await interleave(workshop.repetitions(count), sides)
  }
  const [firsts, streams] = [await both(first, 30), await both(stream, 8)]
  await Promise.all([shared.close(), embedded.close()])
  const against = 'embedded store'
  return [
    { label: 'first text delta, warm', unit: 'ms', ...firsts, against, ...compare(firsts, 'cost') },
    { label: '20,000 deltas, one reader', unit: '/s', ...streams, against, ...compare(streams, 'rate') },
  ]
}

/** The storage alone, as a run writes: the next commit goes when the one before is confirmed. */
async function besidePlain(workshop: Workshop, server: RedisServer, size: number): Promise<Row[]> {
  const options = { url: server.url, runnerId: 'bench', runnerUrl: 'http://bench', leaseMs: 60_000 }
  const storage = await RedisStorage.open({ ...options, retentionBytes: 1024 ** 3 })
  const plain = new Redis({ path: server.socket })
  const batches = span(1, DELTAS / size).map((number) => span(1, size).map((at) => delta(`${number} ${at}`)))
  let runs = 0
  const append = {
    async ours(): Promise<number> {
      const threadId = `append ${size} ${runs++}`
      const started = performance.now()
      for (const events of batches) await storage.commit({ threadId, append: { runId: 'r', events } })
      return perSecond(started)
    },
    async reference(): Promise<number> {
      const key = `plain ${size} ${runs++}`
      const started = performance.now()
      for (const [at, events] of batches.entries()) {
        const batch = Batch.of('r', events, { first: at * size + 1, at: Date.now() })
        await plain.xadd(key, `${batch.last}-${batch.first}`, 'batch', batch.encode())
      }
      return perSecond(started)
    },
  }
  await interleave(1, append)
  const appended = await interleave(workshop.repetitions(12), append)
  const thread = `append ${size} 0`
  const read = {
    async ours(): Promise<number> {
      // As another process: nothing of it is in memory.
      const reader = await RedisStorage.open({ ...options, runnerId: 'reader', retentionBytes: 1024 ** 3 })
      // It connects, and hears of others, before the clock starts.
      for await (const _ of reader.log.read(thread, DELTAS - 1, new AbortController().signal)) break
      const started = performance.now()
      let last = 0
      for await (const stored of reader.log.read(thread, 0, new AbortController().signal)) {
        last = stored.at(-1)?.last ?? last
        if (last >= DELTAS) break
      }
      const rate = perSecond(started)
      await reader.close()
      return rate
    },
    async reference(): Promise<number> {
      const started = performance.now()
      let [from, bytes] = ['-', 0]
      for (;;) {
        const entries = await plain.xrangeBuffer(`plain ${size} 1`, from, '+', 'COUNT', 100)
        for (const [, fields] of entries) bytes += decoded(fields[1]).sse.length
        if (entries.length < 100) break
        from = `(${entries.at(-1)?.[0].toString()}`
      }
      if (bytes === 0) throw new Error('nothing was read')
      return perSecond(started)
    },
  }
  await interleave(1, read)
  const reads = await interleave(workshop.repetitions(12), read)
  await storage.close()
  plain.disconnect()
  return [
    row(`stored by commits of ${size}, one at a time`, appended, 'plain XADD, the same bytes'),
    row(`read, as commits of ${size} left it`, reads, 'plain XRANGE, the same bytes'),
  ]
}

function decoded(bytes: Buffer | undefined): Batch {
  return Batch.decode(bytes ?? Buffer.alloc(0))
}

function row(label: string, pair: Pair, against: string): Row {
  const ratios = compare(pair, 'rate')
  const pass = ratios.ratio >= PLAIN_SHARE_MIN
  return { label, unit: '/s', ...pair, against, ...ratios, target: `at least ${PLAIN_SHARE_MIN}`, pass }
}

function perSecond(started: number): number {
  return (DELTAS / (performance.now() - started)) * 1000
}
