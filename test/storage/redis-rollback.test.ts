// A Redis that comes back with a shorter log than its readers have read: after a crash that took back the last second, or
// after a failover to a replica that was behind. What the writer, alive or not, and each reader make of it.
import { once } from 'node:events'
import { createConnection, createServer, type Socket } from 'node:net'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { threadKey } from '../../src/storage/redis/keys.ts'
import { RedisStorage, type RedisStorageOptions } from '../../src/storage/redis/redis-storage.ts'
import { appendTo, delta, readRecords, seqsOf, span, turn } from '../support/event-log.ts'
import { RedisServer } from '../support/redis-server.ts'

const closing: (() => Promise<unknown>)[] = []
let server: RedisServer
beforeEach(async () => {
  server = await RedisServer.start({ isOnPort: true })
  closing.push(() => server.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function open(
  runnerId: string,
  { port = server.port, ...options }: Partial<RedisStorageOptions> & { port?: number } = {},
): Promise<RedisStorage> {
  const storage = await RedisStorage.open({
    url: `redis://127.0.0.1:${port}`,
    runnerId,
    runnerUrl: `http://${runnerId}`,
    leaseMs: 60_000,
    retentionBytes: 1024 ** 3,
    ...options,
  })
  closing.push(() => storage.close())
  return storage
}

const write = async (storage: RedisStorage, ...texts: string[]): Promise<void> => {
  for (const text of texts) await appendTo(storage, 't', 'r', [delta(text)])
}

/** What Redis wrote to its disk before the last call of `SAVE` is all that it has afterwards. */
async function crash(): Promise<void> {
  await server.stop('SIGKILL')
  await server.start()
}

/** A reader that goes on by itself. `seen` resolves when it has read up to a seq; `end` with why it ended. */
function follow(storage: RedisStorage, after = 0) {
  const got: unknown[] = []
  let wake = (): void => undefined
  const leaving = new AbortController()
  const end = (async () => {
    for await (const batches of storage.log.read('t', after, leaving.signal)) {
      got.push(...batches.flatMap((batch) => batch.records().map(({ event }) => event)))
      wake()
    }
  })()
  end.catch(() => undefined)
  const seen = async (count: number): Promise<void> => {
    const ended = end.then(() => Promise.reject(new Error('the reader has ended')))
    ended.catch(() => undefined)
    while (got.length < count)
      await Promise.race([
        ended,
        new Promise<void>((resolve) => {
          wake = resolve
        }),
      ])
  }
  return { got, seen, end, leave: () => leaving.abort() }
}

/** Lets connections through until it is shut; whoever connects then waits until it is open again. */
async function openGate(): Promise<{ port: number; shut(): void; open(): void }> {
  const sockets = new Set<Socket>()
  let waiting: (() => void)[] | undefined
  const proxy = createServer((client) => {
    sockets.add(client)
    client.on('error', () => undefined)
    const pass = (): void => {
      const upstream = createConnection({ port: server.port, host: '127.0.0.1' })
      sockets.add(upstream)
      upstream.on('error', () => undefined)
      for (const [from, into] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.pipe(into)
        from.on('close', () => into.destroy())
      }
    }
    if (waiting === undefined) pass()
    else waiting.push(pass)
  })
  const close = (): void => {
    for (const socket of sockets) socket.destroy()
    sockets.clear()
  }
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  closing.push(async () => {
    proxy.close()
    close()
  })
  const address = proxy.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    shut() {
      waiting = []
      close()
    },
    open() {
      for (const pass of waiting?.splice(0) ?? []) pass()
      waiting = undefined
    },
  }
}

const texts = (...each: (string | number)[]): unknown[] => each.map((text) => delta(`${text}`))

test.each(['kept', 'lost'])(
  'a reader that is ahead waits for the writer, which sends again without a next commit; its claim is %s',
  async (claim) => {
    let clock = Date.now()
    const gate = await openGate()
    const writer = await open('writer', { port: gate.port, now: () => clock })
    const before = claim === 'lost' ? await open('before') : writer
    await write(before, '1', '2', '3')
    if (claim === 'lost') await before.tenancy.release('t')
    await server.ask('SAVE')
    await write(writer, '4', '5')
    const reader = await open('reader')
    const [ahead, behind] = [follow(reader), follow(reader, 1)]
    await ahead.seen(5)
    await behind.seen(4)
    gate.shut()
    await crash()
    // However long Redis was away.
    clock += 3_600_000
    // The reader's process learns that the log is shorter, and its readers go on with that.
    expect(await reader.log.head('t')).toBe(3)
    const other = await open('other')
    const late = follow(other)
    await late.seen(3)
    for (let turns = 0; turns < 20; turns++) await Promise.race([ahead.end, behind.end, turn()])
    gate.open()
    await late.seen(5)
    await write(writer, '6')
    for (const each of [ahead, late]) await each.seen(6)
    await behind.seen(5)
    for (const each of [ahead, late]) expect(each.got).toEqual(texts(...span(1, 6)))
    expect(behind.got).toEqual(texts(...span(2, 6)))
    expect(seqsOf(await readRecords(other.log, 't'))).toEqual(span(1, 6))
  },
)

test('another writer goes on where the log ends: who was further is refused, who was not sees no gap', async () => {
  const gates = [await openGate(), await openGate()]
  const [writer, away] = [
    await open('writer', { port: gates[0]?.port ?? 0 }),
    await open('away', { port: gates[1]?.port ?? 0 }),
  ]
  await write(writer, '1', '2', '3')
  await server.ask('SAVE')
  await write(writer, '4', '5')
  const [reader, next] = [await open('reader'), await open('next')]
  const further = [reader, next, away].map((storage) => follow(storage))
  for (const each of further) await each.seen(5)
  for (const gate of gates) gate.shut()
  await crash()
  await server.ask('DEL', threadKey('t', 'lease'))
  expect(await reader.log.head('t')).toBe(3)
  const short = follow(reader)
  await short.seen(3)
  await write(next, 'new 4')
  await next.tenancy.release('t')
  // The next one, and one more beyond where the readers were, before those who were away learn of any.
  await write(await open('last'), 'new 5', 'new 6')
  gates[1]?.open()
  for (const each of further) {
    await expect(each.end).rejects.toMatchObject({ code: 'replay_expired' })
    expect(each.got).toEqual(texts(...span(1, 5)))
  }
  await short.seen(6)
  expect(short.got).toEqual(texts(1, 2, 3, 'new 4', 'new 5', 'new 6'))
  // The old writer has lost the thread, and has nothing of it written.
  gates[0]?.open()
  await expect(write(writer, 'late')).rejects.toMatchObject({ code: 'elsewhere' })
  expect(await reader.log.head('t')).toBe(6)
})

test('a thread that is given from one to the next twenty times is read without a gap', async () => {
  const [one, two] = [await open('one'), await open('two')]
  await write(one, '1')
  const reader = await open('reader')
  const [following, resumed] = [follow(reader), follow(reader, 1)]
  await following.seen(1)
  for (const seq of span(2, 20)) {
    const [from, to] = seq % 2 === 0 ? [one, two] : [two, one]
    await from.tenancy.release('t')
    await write(to, `${seq}`)
  }
  await following.seen(20)
  await resumed.seen(19)
  expect(following.got).toEqual(texts(...span(1, 20)))
  expect(resumed.got).toEqual(texts(...span(2, 20)))
})

test('what is lost and no longer taken is refused together with what would follow it', async () => {
  const gate = await openGate()
  const writer = await open('writer', { port: gate.port })
  await write(writer, '1')
  await server.ask('SAVE')
  await write(writer, '2', '3')
  gate.shut()
  await crash()
  await server.ask('CONFIG', 'SET', 'maxmemory', '1')
  const refused = Promise.allSettled([write(writer, '4'), write(writer, '5')])
  gate.open()
  expect((await refused).map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  await server.ask('CONFIG', 'SET', 'maxmemory', '0')
  await write(writer, '6')
  expect((await readRecords((await open('other')).log, 't')).map(({ event }) => event)).toEqual(
    texts(1, 2, 3, 6),
  )
})
