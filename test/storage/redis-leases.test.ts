import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { isCode } from '../../src/errors.ts'
import { threadKey } from '../../src/storage/redis/keys.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import { appendTo, delta, deltas, readRecords, seqsOf, span } from '../support/event-log.ts'
import { RedisServer } from '../support/redis-server.ts'

let server: RedisServer
const opened: RedisStorage[] = []
beforeAll(async () => {
  server = await RedisServer.start()
})
afterEach(async () => {
  for (const storage of opened.splice(0)) await storage.close()
  await server.ask('FLUSHALL')
})
afterAll(() => server.close())

async function open(runnerId: string, leaseMs = 30_000): Promise<RedisStorage> {
  const runnerUrl = `http://${runnerId}`
  const storage = await RedisStorage.open({
    url: server.url,
    runnerId,
    runnerUrl,
    leaseMs,
    retentionBytes: 1024 ** 3,
  })
  opened.push(storage)
  return storage
}

/** Until the other one's lease has ended. */
async function claimWhenFree(storage: RedisStorage, threadId: string): Promise<void> {
  for (;;) {
    try {
      return await storage.tenancy.claim(threadId)
    } catch (error) {
      if (!isCode(error, 'elsewhere')) throw error
    }
  }
}

test('a thread has one writer; another is told where it lives, and has it when it is given up', async () => {
  const [a, b] = [await open('a'), await open('b')]
  await appendTo(a, 't', 'r', deltas(3))
  await expect(b.tenancy.claim('t')).rejects.toMatchObject({
    code: 'elsewhere',
    details: { threadId: 't', url: 'http://a' },
  })
  await expect(appendTo(b, 't', 'r', [delta('b')])).rejects.toMatchObject({ code: 'elsewhere' })
  await expect(b.drop('t')).rejects.toMatchObject({ code: 'elsewhere' })
  await appendTo(a, 't', 'r', [delta('still')])
  await a.tenancy.release('t')
  expect((await appendTo(b, 't', 'r', [delta('b')])).first).toBe(5)
  expect(await b.tenancy.wasOurs('t')).toBe(true)
  expect(await a.tenancy.wasOurs('t')).toBe(false)
  expect(seqsOf(await readRecords(a.log, 't'))).toEqual(span(1, 5))
})

test('of many that ask at once one is the writer', async () => {
  const storages = await Promise.all(['a', 'b', 'c', 'd'].map((id) => open(id)))
  const claims = await Promise.allSettled(storages.map(({ tenancy }) => tenancy.claim('t')))
  expect(claims.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
})

test('a runner that starts again has its threads at once, and its earlier life writes nothing more', async () => {
  const [before, after] = [await open('a'), await open('a')]
  await appendTo(before, 't', 'r', [delta('one')])
  expect((await appendTo(after, 't', 'r', [delta('two')])).first).toBe(2)
  await expect(appendTo(before, 't', 'r', [delta('late')])).rejects.toMatchObject({ code: 'elsewhere' })
  expect((await appendTo(after, 't', 'r', [delta('three')])).first).toBe(3)
})

test('a thread that was claimed and never used leaves nothing', async () => {
  const a = await open('a')
  await a.tenancy.claim('unused')
  await a.tenancy.release('unused')
  expect(await server.ask('KEYS', '*')).toEqual(['agui:format'])
  await appendTo(a, 'dropped', 'r', deltas(3))
  await a.transcripts.append('dropped', 'session', ['{"type":"x"}'])
  await a.drop('dropped')
  expect(await server.ask('KEYS', '*')).toEqual(['agui:format'])
})

test('a writer that was stopped for longer than its lease writes nothing more', async () => {
  const script = new URL('../support/redis-writer.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', script, server.url, 'a', '1000'], {
    env: { PATH: process.env['PATH'] ?? '' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  for (let seq = 0; seq < 5; ) seq = Number((await lines.next()).value)
  child.kill('SIGSTOP')
  const b = await open('b')
  await claimWhenFree(b, 't')
  const { first } = await appendTo(b, 't', 'b', deltas(2))
  child.kill('SIGCONT')
  const said: string[] = []
  for (let line = await lines.next(); line.done !== true; line = await lines.next()) said.push(line.value)
  await exited
  expect(said.filter((line) => !/^\d+$/.test(line))).toEqual(['lost', 'elsewhere'])
  await appendTo(b, 't', 'b', deltas(2))
  const records = await readRecords(b.log, 't')
  expect(seqsOf(records)).toEqual(span(1, first + 3))
  expect(records.map(({ runId }) => runId)).toEqual([
    ...span(1, first - 1).map(() => 'a'),
    ...span(1, 4).map(() => 'b'),
  ])
})

test('who asks for the head while another reader begins is told the head', async () => {
  const [a, b] = [await open('a'), await open('b')]
  await appendTo(a, 't', 'r', deltas(3))
  const leaving = new AbortController()
  // Both connections are there.
  await readRecords(b.log, 't')
  const asking = b.log.head('t')
  const checking = b.log.checkReplay('t', 3)
  const reading = b.log.read('t', 3, leaving.signal)[Symbol.asyncIterator]().next()
  expect(await asking).toBe(3)
  await checking
  leaving.abort()
  expect(await reading).toMatchObject({ done: true })
})

test('a visit is for a thread that nobody has, leaves it to its runner, and gives way to a claim at once', async () => {
  const [a, b] = [await open('a'), await open('b', 300)]
  await appendTo(a, 't', 'r', deltas(3))
  const visited: string[] = []
  const visit = (what: string, claims?: () => Promise<void>): Promise<void> =>
    b.tenancy.visit('t', async () => {
      visited.push(what)
      await claims?.()
      await appendTo(b, 't', what, [delta(what)])
    })
  await visit('held')
  await a.tenancy.release('t')
  const visitWhenForsaken = async (what: string, claims?: () => Promise<void>): Promise<void> => {
    while (!visited.includes(what)) await visit(what, claims)
  }
  await visitWhenForsaken('free')
  expect(await server.ask('EXISTS', threadKey('t', 'lease'))).toBe(0)
  expect(await a.tenancy.wasOurs('t')).toBe(true)
  await visitWhenForsaken('claimed', () => a.tenancy.claim('t'))
  await visit('held')
  await a.tenancy.release('t')
  // Who comes from this process itself waits until the visit is over, and then has a lease.
  let claiming: Promise<void> | undefined
  await visitWhenForsaken('own', async () => {
    claiming = b.tenancy.claim('t')
  })
  await claiming
  expect(await server.ask('EXISTS', threadKey('t', 'lease'))).toBe(1)
  expect(visited).toEqual(['free', 'claimed', 'own'])
  const records = await readRecords((await open('c')).log, 't')
  expect(seqsOf(records)).toEqual(span(1, 5))
  expect(records.map(({ runId }) => runId)).toEqual(['r', 'r', 'r', 'free', 'own'])
})

test('a claim that Redis has lost is made again, and what was confirmed under it is sent again', async () => {
  const a = await open('a')
  for (const text of ['one', 'two', 'three']) await appendTo(a, 't', 'r', [delta(text)])
  await server.ask('FLUSHALL')
  await appendTo(a, 't', 'r', [delta('four')])
  expect((await readRecords((await open('b')).log, 't')).map(({ event }) => event)).toEqual(
    ['one', 'two', 'three', 'four'].map(delta),
  )
})

test.each([
  ['log', 'SET', 'theirs'],
  ['lease', 'SET', '5'],
  ['lease', 'SET', '["theirs"]'],
  ['lease', 'SET', 'theirs'],
  ['meta', 'HSET', 'head', '7'],
  ['meta', 'HSET', 'fence', 'theirs'],
] as const)(
  'other data under the key %s (%s) is refused, and stays what it is',
  async (name, command, ...value) => {
    const a = await open('a')
    const key = threadKey('t', name)
    await server.ask(command, key, ...value)
    const before = await server.ask('DUMP', key)
    await expect(appendTo(a, 't', 'r', [delta('x')])).rejects.toMatchObject({ code: 'storage_damaged' })
    expect(await server.ask('KEYS', 'agui:{*')).toEqual([key])
    expect(await server.ask('DUMP', key)).toEqual(before)
  },
)

test.each<[what: string, fault: [string, ...string[]], repair: [string, ...string[]]]>([
  ['a right that is missing', ['ACL', 'SETUSER', 'default', '-hset'], ['ACL', 'SETUSER', 'default', '+hset']],
  ['the append itself', ['ACL', 'SETUSER', 'default', '-xadd'], ['ACL', 'SETUSER', 'default', '+xadd']],
  ['a channel', ['ACL', 'SETUSER', 'default', 'resetchannels'], ['ACL', 'SETUSER', 'default', '&*']],
  ['a key of another type', ['SET', threadKey('t', 'runs'), 'theirs'], ['DEL', threadKey('t', 'runs')]],
])(
  'a commit that fails at %s leaves no batch behind, and the thread goes on',
  async (_what, fault, repair) => {
    const a = await open('a')
    const write = { table: 'runs', key: ['t', 'run'], value: {} } as const
    const commit = (text: string): Promise<unknown> =>
      a.commit({ threadId: 't', append: { runId: 'r', events: [delta(text)] }, writes: [write] })
    await appendTo(a, 't', 'r', [delta('one')])
    await server.ask(...fault)
    await expect(commit('refused')).rejects.toThrow()
    await server.ask(...repair)
    await commit('two')
    const { log } = await open('b')
    expect((await readRecords(log, 't')).map(({ event }) => event)).toEqual(['one', 'two'].map(delta))
  },
)

test('a thread whose first commit failed leaves nothing behind', async () => {
  const a = await open('a')
  await server.ask('ACL', 'SETUSER', 'default', '-xadd')
  await expect(appendTo(a, 't', 'r', [delta('x')])).rejects.toThrow()
  await server.ask('ACL', 'SETUSER', 'default', '+xadd')
  await a.tenancy.release('t')
  expect(await server.ask('KEYS', 'agui:{thread*')).toEqual([])
})

test('above its retention a thread loses its oldest records and blobs, and a reader is told', async () => {
  const MIB = 1024 ** 2
  const a = await RedisStorage.open({
    url: server.url,
    runnerId: 'a',
    runnerUrl: 'http://a',
    leaseMs: 30_000,
    retentionBytes: MIB,
  })
  opened.push(a)
  const bytes = Buffer.alloc(300_000, 'x')
  for (const index of span(1, 6)) {
    const blobs = [{ id: `${index}-blob`, contentType: 'text/plain', bytes }]
    await a.commit({ threadId: 't', append: { runId: 'r', events: [delta('x'.repeat(300_000))] }, blobs })
    expect(await a.log.usedBytes()).toBeLessThanOrEqual(MIB)
  }
  const b = await open('b')
  for (const storage of [a, b]) {
    expect(seqsOf(await readRecords(storage.log, 't', { after: 3 }))).toEqual([4, 5, 6])
    await expect(storage.log.checkReplay('t', 2)).rejects.toMatchObject({
      code: 'replay_expired',
      details: { oldestSeq: 4 },
    })
  }
  const blobs = await Promise.all(span(1, 6).map((index) => b.blobs.get('t', `${index}-blob`)))
  expect(blobs.map((blob) => blob !== undefined)).toEqual([false, false, false, true, true, true])
})

test('by age a thread loses its oldest records with the next commit, and blobs as old', async () => {
  let clock = Date.now()
  const options = { url: server.url, runnerId: 'a', runnerUrl: 'http://a', leaseMs: 30_000 }
  const a = await RedisStorage.open({
    ...options,
    retentionBytes: 1024 ** 3,
    retentionMs: 60_000,
    now: () => clock,
  })
  opened.push(a)
  const bytes = Buffer.from('whole')
  const write = async (name: string): Promise<void> => {
    const blobs = [{ id: `${clock.toString(36)}-${name}`, contentType: 'text/plain', bytes }]
    await a.commit({ threadId: 't', append: { runId: '"at":1', events: [delta(name)] }, blobs })
  }
  const names = ['one', 'two', 'three']
  const ids: string[] = []
  for (const name of names) {
    ids.push(`${clock.toString(36)}-${name}`)
    await write(name)
    clock += 40_000
  }
  const b = await open('b')
  for (const storage of [a, b]) {
    await expect(storage.log.checkReplay('t', 0)).rejects.toMatchObject({ details: { oldestSeq: 2 } })
    expect(seqsOf(await readRecords(storage.log, 't', { after: 1 }))).toEqual([2, 3])
  }
  const kept = await Promise.all(ids.map((id) => b.blobs.get('t', id)))
  expect(kept.map((blob) => blob !== undefined)).toEqual([false, true, true])
})

test('all of a thread that nothing is written to goes by itself; the next record has the next seq', async () => {
  const options = { url: server.url, runnerId: 'a', runnerUrl: 'http://a', leaseMs: 30_000 }
  const a = await RedisStorage.open({ ...options, retentionBytes: 1024 ** 3, retentionMs: 100 })
  opened.push(a)
  const blobs = [{ id: '1-a', contentType: 'text/plain', bytes: Buffer.from('whole') }]
  await a.commit({ threadId: 't', append: { runId: 'r', events: deltas(3) }, blobs })
  for (const name of ['log', 'blobs'] as const)
    while ((await server.ask('EXISTS', threadKey('t', name))) === 1) await server.ask('PING')
  const b = await open('b')
  // The writer may have it in its memory still, as long as it holds the thread.
  await a.tenancy.release('t')
  for (const storage of [b, a]) {
    const expired = { code: 'replay_expired', details: { oldestSeq: 4 } }
    await expect(readRecords(storage.log, 't')).rejects.toMatchObject(expired)
    await storage.log.checkReplay('t', 3)
  }
  // Without an age from now on, what is written stays.
  expect((await appendTo(b, 't', 'r', deltas(2))).first).toBe(4)
  expect(await server.ask('PTTL', threadKey('t', 'log'))).toBe(-1)
  expect(seqsOf(await readRecords(b.log, 't', { after: 3 }))).toEqual([4, 5])
  expect(await b.log.usedBytes()).toBeLessThan(600)
})
