// What a reader sees of each fault of Redis: nothing but a delay, or a word. docs/redis.md has the table.
import { once } from 'node:events'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { Redis } from 'ioredis'
import { afterEach, expect, test, vi } from 'vitest'
import { isCode } from '../../src/errors.ts'
import type { Batch } from '../../src/storage/batch.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import { deferred } from '../support/deferred.ts'
import { appendTo, delta, deltas, readRecords, seqsOf, span, turn } from '../support/event-log.ts'
import { freePort } from '../support/ports.ts'
import { RedisServer } from '../support/redis-server.ts'

/** A look without a pause takes the core that Redis needs. */
const PATIENT = { interval: 20, timeout: 30_000 }

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(settings: Record<string, string> = {}, isOnPort = false): Promise<RedisServer> {
  const server = await RedisServer.start({ settings, isOnPort })
  closing.push(() => server.close())
  return server
}

async function open(url: string, runnerId = 'a'): Promise<RedisStorage> {
  const storage = await RedisStorage.open({
    url,
    runnerId,
    runnerUrl: `http://${runnerId}`,
    leaseMs: 60_000,
    retentionBytes: 1024 ** 3,
  })
  closing.push(() => storage.close())
  return storage
}

/** A Sentinel may name the old master for a while yet, and a start there is refused. */
async function openInTime(url: string): Promise<RedisStorage> {
  const refused = (error: unknown): undefined => {
    if (!isCode(error, 'storage_unavailable')) throw error
  }
  return await vi.waitUntil(() => open(url, 'third').catch(refused), PATIENT)
}

const TOTAL = 300
const FAULT_AT = 100

/** Writes in one process and reads in another while `fault` happens; every record is there once, in order, for both. */
async function expectWhole(url: string, fault: () => Promise<unknown>): Promise<void> {
  const [writer, reader] = [await open(url), await open(url, 'reader')]
  await appendTo(writer, 't', 'r', [delta('1')])
  const seen: number[] = []
  // Whoever begins to read while Redis is away is refused; it is those who read already that see nothing of it.
  const begun = deferred()
  const reading = (async () => {
    for await (const batches of reader.log.read('t', 0, new AbortController().signal)) {
      begun.resolve()
      seen.push(...batches.flatMap((batch: Batch) => seqsOf(batch.frames)))
      if ((seen.at(-1) ?? 0) >= TOTAL) return
    }
  })()
  await Promise.race([begun.promise, reading])
  const committing: Promise<Batch>[] = []
  let failing: Promise<unknown> | undefined
  for (const seq of span(2, TOTAL)) {
    committing.push(appendTo(writer, 't', 'r', [delta(`${seq}`)]))
    if (seq === FAULT_AT) failing = fault()
    await turn()
  }
  await failing
  const committed = await Promise.all(committing)
  expect(committed.map(({ first }) => first)).toEqual(span(2, TOTAL))
  await reading
  expect(seen).toEqual(span(1, TOTAL))
  const stored = await readRecords((await openInTime(url)).log, 't')
  expect(stored.map(({ event }) => event)).toEqual(span(1, TOTAL).map((seq) => delta(`${seq}`)))
}

test.each(['always', 'everysec'])(
  'killed and started again on its file (appendfsync %s)',
  async (appendfsync) => {
    const server = await start({ appendonly: 'yes', appendfsync })
    await expectWhole(server.url, async () => {
      await server.stop('SIGKILL')
      await server.start()
    })
  },
)

test('stopped in good order and started again', async () => {
  const server = await start({ appendonly: 'yes' })
  await expectWhole(server.url, async () => {
    await server.stop()
    await server.start()
  })
})

test('paused', async () => {
  const server = await start()
  await expectWhole(server.url, async () => {
    server.signal('SIGSTOP')
    for (let turns = 0; turns < 1000; turns++) await turn()
    server.signal('SIGCONT')
  })
})

test('busy with a script of somebody else', async () => {
  const server = await start({ 'busy-reply-threshold': '1' })
  const other = new Redis({ path: server.socket })
  closing.push(async () => other.disconnect())
  const late = await open(server.url, 'late')
  // Its connection for messages is there already.
  const stop = new AbortController()
  const before = late.log.read('before', 0, stop.signal).next()
  await expect.poll(() => server.ask('PUBSUB', 'CHANNELS'), PATIENT).toHaveLength(1)
  stop.abort()
  await before
  await expectWhole(server.url, async () => {
    const script = server.ask('EVAL', 'while true do end', '0').catch(() => undefined)
    await expect.poll(() => other.ping().catch(String), PATIENT).toMatch(/BUSY/)
    const begun = late.log.read('t', 0, new AbortController().signal).next()
    for (let turns = 0; turns < 100; turns++) await turn()
    await other.call('SCRIPT', 'KILL')
    await script
    expect((await begun).value?.[0]).toMatchObject({ first: 1 })
  })
})

test('connections cut in the middle of commands and of answers', async () => {
  const server = await start({}, true)
  const proxy = await openCuttingProxy(server.port)
  await expectWhole(`redis://127.0.0.1:${proxy.port}`, async () => proxy.cutOften())
})

test('what Redis had confirmed and lost in a crash is written again by the runner that lives', async () => {
  const server = await start({}, true)
  const writer = await open(server.url)
  for (const text of ['1', '2', '3']) await appendTo(writer, 't', 'r', [delta(text)])
  await server.ask('SAVE')
  const write = { table: 'runs', key: ['t', 'run'], value: true } as const
  await writer.commit({ threadId: 't', append: { runId: 'r', events: [delta('4')] }, writes: [write] })
  await server.stop('SIGKILL')
  await server.start()
  await appendTo(writer, 't', 'r', [delta('5')])
  const other = await open(server.url, 'b')
  expect((await readRecords(other.log, 't')).map(({ event }) => event)).toEqual(
    ['1', '2', '3', '4', '5'].map(delta),
  )
  expect(await other.tables.runs.has(['t', 'run'])).toBe(true)
})

test('a memory that is full refuses what is new, takes last words and deletions, and goes on without a gap', async () => {
  const server = await start({ maxmemory: '8mb', 'maxmemory-policy': 'noeviction' })
  const storage = await open(server.url)
  const big = delta('x'.repeat(100_000))
  let written = 0
  const filling = async (): Promise<void> => {
    for (;;) written = (await appendTo(storage, 't', 'r', [big])).last
  }
  await expect(filling()).rejects.toMatchObject({ code: 'storage_full' })
  await server.ask('CONFIG', 'SET', 'maxmemory', '2mb')
  await expect(storage.checkRoom()).rejects.toMatchObject({ code: 'storage_full' })
  const refused = await Promise.allSettled(span(1, 3).map(() => appendTo(storage, 't', 'r', [big])))
  expect(refused.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'rejected'])
  expect(await storage.log.head('t')).toBe(written)
  const last = await appendTo(storage, 't', 'r', [delta('last words')], { isLast: true })
  expect(last.first).toBe(written + 1)
  await server.ask('CONFIG', 'SET', 'maxmemory', '0')
  expect((await appendTo(storage, 't', 'r', deltas(2))).last).toBe(written + 3)
  expect(seqsOf(await readRecords((await open(server.url, 'b')).log, 't'))).toEqual(span(1, written + 3))
  await server.ask('CONFIG', 'SET', 'maxmemory', '1mb')
  await storage.drop('t')
  expect(await storage.log.head('t')).toBe(0)
})

test('a master that fails over by Sentinel', async () => {
  const master = await start({ 'repl-diskless-sync-delay': '0' }, true)
  const replica = await start({ replicaof: `127.0.0.1 ${master.port}` }, true)
  await expect.poll(() => replica.ask('INFO', 'replication'), PATIENT).toContain('master_link_status:up')
  const ports = await Promise.all(span(1, 3).map(() => freePort()))
  for (const port of ports) {
    const sentinel = await RedisServer.startSentinel({ port, masterPort: master.port })
    closing.push(() => sentinel.close())
  }
  const [first, ...others] = ports
  const nodes = others.map((port) => `&node=127.0.0.1:${port}`).join('')
  const names = { code: 'config_invalid', message: expect.stringContaining('is a sentinel') }
  await expect(open(`redis://127.0.0.1:${first}`)).rejects.toMatchObject(names)
  const another = { code: 'config_invalid', message: expect.stringContaining('no master of this name') }
  await expect(open(`redis://127.0.0.1:${first}?sentinel=another`)).rejects.toMatchObject(another)
  await expectWhole(`redis://127.0.0.1:${first}?sentinel=main${nodes}`, async () => {
    // The replica has all that was confirmed: what it lacks, a reader may be ahead of.
    await master.ask('CLIENT', 'PAUSE', '10000', 'WRITE')
    await master.ask('WAIT', '1', '5000')
    await master.stop('SIGKILL')
  })
}, 60_000)

test('a cluster: all of a thread is in one slot', async () => {
  const server = await start({ 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1' }, true)
  const url = `redis://127.0.0.1:${server.port}?cluster=true`
  await server.ask('CONFIG', 'SET', 'cluster-require-full-coverage', 'no')
  await server.ask('CLUSTER', 'ADDSLOTSRANGE', '0', '16382')
  await expect.poll(() => server.ask('CLUSTER', 'INFO'), PATIENT).toContain('cluster_state:ok')
  await expect(open(url)).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('16383 of 16384'),
  })
  await server.ask('CLUSTER', 'ADDSLOTSRANGE', '16383', '16383')
  await expectWhole(url, async () => undefined)
  const storage = await open(url)
  const threads = ['a}b', '{', '', 'c']
  for (const threadId of threads) {
    await storage.commit({
      threadId,
      append: { runId: 'r', events: [delta('x')] },
      blobs: [{ id: '1-a', contentType: 'text/plain', bytes: Buffer.from('whole') }],
      writes: [{ table: 'threads', key: [threadId], value: {} }],
    })
    await storage.transcripts.append(threadId, 'session', ['{}'])
  }
  expect((await storage.tables.threads.entries()).map(({ key: [id] }) => id).toSorted()).toEqual(
    threads.toSorted(),
  )
  for (const threadId of threads) await storage.drop(threadId)
  expect(await storage.tables.threads.entries()).toEqual([])
})

test('a master without the replicas that it must have refuses what is new, and says what is missing', async () => {
  const server = await start()
  const storage = await open(server.url)
  await appendTo(storage, 't', 'r', [delta('1')])
  await server.ask('CONFIG', 'SET', 'min-replicas-to-write', '1')
  const refused = { code: 'storage_full', message: expect.stringMatching(/replicas back/) }
  await expect(appendTo(storage, 't', 'r', [delta('2')])).rejects.toMatchObject(refused)
  await server.ask('CONFIG', 'SET', 'min-replicas-to-write', '0')
  expect(await appendTo(storage, 't', 'r', [delta('2')])).toMatchObject({ first: 2 })
})

test('a replica that is gone is waited for, and nothing else waits for it', async () => {
  const master = await start({ 'repl-diskless-sync-delay': '0' }, true)
  const replica = await start({ replicaof: `127.0.0.1 ${master.port}` }, true)
  await expect.poll(() => master.ask('INFO', 'replication'), PATIENT).toContain('state=online')
  const storage = await open(`${master.url}?waitReplicas=1`)
  await replica.stop('SIGKILL')
  await appendTo(storage, 't', 'r', deltas(3))
  let settled = 0
  const flushing = [1, 2, 3].map(() => storage.flushed().then(() => settled++))
  const blocked = async (): Promise<string[]> =>
    (String(await master.ask('CLIENT', 'LIST')).match(/^.*flags=b .*$/gm) ?? []).flatMap(
      (line) => /^id=(\d+)/.exec(line)?.slice(1) ?? [],
    )
  // A wait that the server breaks off is no answer either.
  const [id = ''] = await vi.waitUntil(async () => {
    const ids = await blocked()
    return ids.length > 0 && ids
  }, PATIENT)
  await master.ask('CLIENT', 'UNBLOCK', id, 'ERROR')
  await vi.waitUntil(async () => (await blocked()).length > 0, PATIENT)
  await appendTo(storage, 'other', 'r', deltas(3))
  await storage.tenancy.release('other')
  expect(settled).toBe(0)
  await replica.start()
  await Promise.all(flushing)
})

test('WAIT and WAITAOF are waited for where they are asked for', async () => {
  const master = await start({ 'repl-diskless-sync-delay': '0' }, true)
  const replica = await start({ replicaof: `127.0.0.1 ${master.port}` }, true)
  await expect.poll(() => replica.ask('INFO', 'replication'), PATIENT).toContain('master_link_status:up')
  const storage = await open(`${master.url}?waitReplicas=1`)
  await appendTo(storage, 't', 'r', deltas(3))
  await storage.flushed()
  expect(await replica.ask('XLEN', 'agui:{thread/t}:log')).toBe(1)
  replica.signal('SIGSTOP')
  await appendTo(storage, 't', 'r', deltas(3))
  let isFlushed = false
  const flushing = storage.flushed().then(() => {
    isFlushed = true
  })
  for (let turns = 0; turns < 1000; turns++) await turn()
  expect(isFlushed).toBe(false)
  replica.signal('SIGCONT')
  await flushing
})

test.each<
  [what: string, url: (server: RedisServer) => string, settings: Record<string, string>, says: RegExp]
>([
  [
    'a wrong password',
    ({ port }) => `redis://:wrong@127.0.0.1:${port}`,
    { requirepass: 'right' },
    /password/,
  ],
  ['no password', ({ url }) => url, { requirepass: 'right' }, /password/],
  [
    'a user of other keys',
    ({ port }) => `redis://other:pass@127.0.0.1:${port}`,
    { user: 'other on >pass ~other:* &* +@all' },
    /refuses its user a command or a key/,
  ],
  ['a database that is not there', ({ url }) => `${url}/99`, {}, /database/],
  [
    'keys that may go',
    ({ url }) => url,
    { maxmemory: '50mb', 'maxmemory-policy': 'allkeys-lru' },
    /noeviction/,
  ],
  [
    'leases that may go',
    ({ url }) => url,
    { maxmemory: '50mb', 'maxmemory-policy': 'volatile-ttl' },
    /noeviction/,
  ],
  ['a node of a cluster', ({ url }) => url, { 'cluster-enabled': 'yes' }, /add \?cluster=true/],
  ['what is no cluster', ({ url }) => `${url}?cluster=true`, {}, /is no cluster/],
  ['what is no sentinel', ({ url }) => `${url}?sentinel=main`, {}, /is no sentinel/],
  [
    'a Redis that lacks a command',
    ({ url }) => url,
    { 'rename-command': 'UNLINK gone' },
    /lacks a command|refuses its user a command/,
  ],
  ['a read-only replica', ({ url }) => url, { replicaof: '127.0.0.1 1' }, /read-only replica/],
  ['WAITAOF on a server that has none', ({ url }) => `${url}?waitAof=true`, { appendonly: 'yes' }, /WAITAOF/],
])(
  '%s is refused at the start with one sentence, and nothing is written',
  async (_what, url, settings, says) => {
    const server = await start(settings, true)
    const opening = RedisStorage.open({
      url: url(server),
      runnerId: 'a',
      runnerUrl: 'http://a',
      leaseMs: 60_000,
      retentionBytes: 1024 ** 2,
    })
    await expect(opening).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(says),
    })
    await expect(opening).rejects.not.toMatchObject({ message: expect.stringMatching(/wrong|right/) })
    const password = settings['requirepass']
    expect(await (password === undefined ? server.ask('DBSIZE') : server.askAs(password, 'DBSIZE'))).toBe(0)
  },
)

test('a Unix socket has a password too', async () => {
  const server = await start({ requirepass: 'a/secret' })
  const storage = await open(`unix://:a%2Fsecret@localhost${server.socket}`)
  expect(await appendTo(storage, 't', 'r', [delta('1')])).toMatchObject({ first: 1 })
})

test('other data under our keys is refused, and stays what it is', async () => {
  const server = await start({}, true)
  for (const [says, key, command, ...args] of [
    [/something else/, 'agui:format', 'SET', 'theirs'],
    [/another version \(agui-runner 2,/, 'agui:format', 'SET', 'agui-runner 2'],
    [/something else/, 'agui:format', 'RPUSH', 'theirs'],
    [/something else/, 'agui:threads', 'SET', 'theirs'],
    [/something else/, 'agui:threads', 'SADD', 'theirs'],
    [/something else/, 'agui:threads', 'HSET', 'theirs', '1'],
    [/something else/, 'agui:{runner/a}:workspace', 'SET', 'theirs'],
  ] as const) {
    await server.ask(command, key, ...args)
    const message = expect.stringMatching(says)
    await expect(open(server.url)).rejects.toMatchObject({ code: 'config_invalid', message })
    expect(await server.ask('DBSIZE')).toBe(1)
    await server.ask('DEL', key)
  }
})

test.each([
  ['speaks HTTP', 'HTTP/1.1 400 Bad Request\r\n\r\n', /is not a Redis/],
  ['takes every command', '+OK\r\n', /is not a Redis/],
  ['is an old Redis', undefined, /6\.2/],
])('a server that %s is refused', async (_what, answer, says) => {
  const server = createServer((socket) => {
    // No old Redis is to be had from the system's packages: this is one as far as the check looks.
    const info = '# Server\r\nredis_version:6.2.6\r\nrole:master\r\nloading:0\r\n'
    socket.on('error', () => undefined)
    socket.on('data', (data) => {
      for (const command of data.toString().match(/HELLO|CLIENT|INFO|SELECT/gi) ?? [])
        socket.write(
          answer ??
            (/INFO/i.test(command)
              ? `$${info.length}\r\n${info}\r\n`
              : '-ERR unknown command `HELLO`, with args beginning with: `3`, \r\n'),
        )
    })
  })
  const port = await listen(server)
  await expect(open(`redis://127.0.0.1:${port}`)).rejects.toMatchObject({
    message: expect.stringMatching(says),
  })
})

test.each([
  'http://127.0.0.1:6379',
  'redis://',
  'redis://host?sentinel=a&cluster=true',
  'redis://host?unknown=1',
  'redis://host?node=a:b',
  'unix://',
  'unix://run/redis.sock',
  'redis://host/0#1',
  'redis://host/db',
  'nonsense',
])('the address %s is refused without being repeated', async (url) => {
  const opening = open(`${url.replace('host', 'user:secret@host')}`)
  await expect(opening).rejects.toMatchObject({ code: 'config_invalid' })
  await expect(opening).rejects.not.toMatchObject({ message: expect.stringContaining('secret') })
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  closing.push(async () => {
    server.close()
    for (const socket of sockets) socket.destroy()
  })
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** From `cutOften` on, connections are cut after some bytes of theirs, twenty times. */
async function openCuttingProxy(to: number): Promise<{ port: number; cutOften(): void }> {
  let cuts = 0
  const port = await listen(
    createServer((client) => {
      const upstream = createConnection({ port: to, host: '127.0.0.1' })
      let left = 300 + 977 * cuts
      const pass = (from: Socket, into: Socket): void => {
        from.on('error', () => undefined)
        from.on('close', () => into.destroy())
        from.on('data', (data) => {
          const isCut = cuts > 0 && data.length > left
          into.write(isCut ? data.subarray(0, left) : data)
          if (cuts === 0) return
          left -= data.length
          if (!isCut) return
          cuts -= 1
          into.end()
          from.destroy()
        })
      }
      pass(client, upstream)
      pass(upstream, client)
    }),
  )
  return {
    port,
    cutOften: () => {
      cuts = 20
    },
  }
}
