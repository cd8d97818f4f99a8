// Where a Redis may be: behind TLS and an ACL user with the rights that docs/redis.md names, and in a cluster of three.
import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, expect, test } from 'vitest'
import { threadKey } from '../../src/storage/redis/keys.ts'
import { RedisStorage } from '../../src/storage/redis/redis-storage.ts'
import { appendTo, delta, deltas, readRecords, seqsOf, span } from '../support/event-log.ts'
import { freePort } from '../support/ports.ts'
import { RedisServer } from '../support/redis-server.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function start(settings: Record<string, string>): Promise<RedisServer> {
  const server = await RedisServer.start({ settings, isOnPort: true })
  closing.push(() => server.close())
  return server
}

async function open(url: string, runnerId = 'a', retentionMs = 0): Promise<RedisStorage> {
  const options = { url, runnerId, runnerUrl: `http://${runnerId}`, leaseMs: 60_000, retentionMs }
  const storage = await RedisStorage.open({ ...options, retentionBytes: 1024 ** 3 })
  closing.push(() => storage.close())
  return storage
}

/** As docs/redis.md writes them. */
function documentedRights(): string {
  const [, rights] = /^`(\+hello [^`]*)`/m.exec(readFileSync('docs/redis.md', 'utf8')) ?? []
  return `~agui:* &agui:* ${rights}`
}

function inCluster(): string {
  const [, rights] = /cluster `(\+cluster[^`]*)`/.exec(readFileSync('docs/redis.md', 'utf8')) ?? []
  return `${documentedRights()} ${rights}`
}

/** All that a runner does with a thread, and what another reads of it. */
async function useAll(writer: RedisStorage, reader: RedisStorage, threadId: string): Promise<void> {
  const reading = (async () => {
    for await (const batches of reader.log.read(threadId, 0, new AbortController().signal)) {
      if ((batches.at(-1)?.last ?? 0) >= 6) return
    }
  })()
  await appendTo(writer, threadId, 'r', deltas(3))
  const blobs = [{ id: '1-a', contentType: 'text/plain', bytes: Buffer.from('whole') }]
  const writes = [
    { table: 'threads', key: [threadId], value: { is: 'a fact' } },
    { table: 'runs', key: [threadId, 'run'], value: true },
    { table: 'queue', key: [threadId, '1'], value: Buffer.from('waits') },
  ] as const
  await writer.commit({ threadId, append: { runId: 'r', events: deltas(3) }, blobs, writes })
  await writer.commit({ threadId, writes: [{ table: 'runs', key: [threadId, 'run'], value: undefined }] })
  await writer.transcripts.append(threadId, 'session', ['{}'])
  await writer.flushed()
  await reading
  expect(seqsOf(await readRecords(reader.log, threadId))).toEqual(span(1, 6))
  expect(await reader.blobs.get(threadId, '1-a')).toMatchObject({ contentType: 'text/plain' })
  expect((await reader.tables.threads.entries()).map(({ key: [id] }) => id)).toContain(threadId)
  await writer.tenancy.release(threadId)
  await writer.tenancy.claim(threadId)
  await writer.drop(threadId)
}

test('an ACL user with the documented rights, and no other, can do all of it', async () => {
  const rights = documentedRights()
  const server = await start({ user: `runner on >a/secret ${rights}`, 'repl-diskless-sync-delay': '0' })
  const url = `redis://runner:a%2Fsecret@127.0.0.1:${server.port}`
  const [writer, reader] = [await open(url, 'a', 60_000), await open(url, 'b')]
  await useAll(writer, reader, 't')
  await useAll(reader, writer, 'other')
  expect(await server.ask('KEYS', '*')).toEqual(['agui:format'])
  expect(await server.ask('ACL', 'LOG')).toEqual([])
})

test('a user who lacks one of them is refused at the start, with the command, and nothing is written', async () => {
  const all = documentedRights()
  const commands = [...all.matchAll(/\+(\S+)/g)].map(([, command = '']) => command)
  const server = await start({ user: `runner on >secret ${all}`, 'repl-diskless-sync-delay': '0' })
  const options = { runnerId: 'a', runnerUrl: 'http://a', leaseMs: 60_000, retentionBytes: 1024 ** 3 }
  const url = `redis://runner:secret@127.0.0.1:${server.port}`
  // How a connection begins: without these the client goes on, or is refused by name.
  const optional = ['hello', 'client|setname', 'ping', 'wait']
  for (const command of commands.filter((each) => !optional.includes(each))) {
    await server.ask('ACL', 'SETUSER', 'runner', 'reset', 'on', '>secret', ...all.split(' '), `-${command}`)
    const opening = RedisStorage.open({ url, ...options })
    await expect(opening, command).rejects.toMatchObject({
      code: 'config_invalid',
      message: expect.stringMatching(new RegExp(`\\b${command}\\b`, 'i')),
    })
    if (command !== 'set') expect(await server.ask('DBSIZE'), command).toBe(0)
  }
})

test('rediss:// speaks TLS, trusts what NODE_EXTRA_CA_CERTS names, and nothing else', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agui-redis-tls-'))
  closing.push(() => rmSync(directory, { recursive: true, force: true }))
  const [key, cert] = [join(directory, 'key.pem'), join(directory, 'cert.pem')]
  const names = ['-subj', '/CN=redis', '-addext', 'subjectAltName=IP:127.0.0.1']
  const made = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...made, ...names, '-keyout', key, '-out', cert], {
    stdio: 'pipe',
  })
  const port = await freePort()
  await start({
    ...{ 'tls-port': String(port), 'tls-key-file': key, 'tls-cert-file': cert, 'tls-auth-clients': 'no' },
    user: `runner on >secret ${documentedRights()}`,
  })
  const url = `rediss://runner:secret@127.0.0.1:${port}`
  await expect(open(url)).rejects.toMatchObject({ message: expect.stringMatching(/certificate/) })
  const script = new URL('../support/redis-writer.ts', import.meta.url).pathname
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, 'a', '60000'], {
    env: { PATH: process.env['PATH'] ?? '', NODE_EXTRA_CA_CERTS: cert },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exited = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const seqs = [await lines.next(), await lines.next(), await lines.next()].map(({ value }) => value)
  expect(seqs).toEqual(['1', '2', '3'])
  child.kill('SIGKILL')
  await exited
})

test('a cluster of three: threads are spread, each in one slot, and readers of each node hear of all', async () => {
  const user = `runner on >secret ${inCluster()}`
  const settings = { 'cluster-enabled': 'yes', 'cluster-announce-ip': '127.0.0.1', user }
  const servers = await Promise.all(span(1, 3).map(() => start(settings)))
  const [first] = servers
  if (first === undefined) throw new Error('no server')
  const slots = [0, 5461, 10_923, 16_384]
  for (const [at, server] of servers.entries()) {
    await server.ask('CLUSTER', 'ADDSLOTSRANGE', String(slots[at]), String((slots[at + 1] ?? 0) - 1))
    await server.ask('CLUSTER', 'SET-CONFIG-EPOCH', String(at + 1))
    await first.ask('CLUSTER', 'MEET', '127.0.0.1', String(server.port))
  }
  for (const server of servers)
    await expect
      .poll(() => server.ask('CLUSTER', 'INFO'), { interval: 20, timeout: 30_000 })
      .toMatch(/cluster_state:ok.*cluster_known_nodes:3/s)
  const url = (at: number): string => `redis://runner:secret@127.0.0.1:${servers[at]?.port}?cluster=true`
  const [writer, reader] = [await open(url(0)), await open(url(2), 'b')]
  const threads = span(1, 12).map((number) => `thread ${number}`)
  await Promise.all(threads.map((threadId) => useAll(writer, reader, threadId)))
  for (const threadId of threads) await appendTo(writer, threadId, 'r', [delta('x')])
  const sizes = await Promise.all(servers.map((server) => server.ask('DBSIZE')))
  for (const size of sizes) expect(Number(size)).toBeGreaterThan(2)
  for (const threadId of threads) await writer.drop(threadId)
  await moveSlot(servers, writer, reader)
  const refused = await Promise.all(servers.map((server) => server.ask('ACL', 'LOG')))
  expect(refused.flat()).toEqual([])
  const left = await Promise.all(servers.map((server) => server.ask('KEYS', '*')))
  expect(left.flat()).toEqual(['agui:format'])
  for (const server of servers) await server.ask('ACL', 'SETUSER', 'runner', '-asking')
  await expect(open(url(0), 'c')).rejects.toMatchObject({
    code: 'config_invalid',
    message: expect.stringContaining('asking'),
  })
}, 60_000)

/** Its keys go to another node one by one, and until all are there the thread waits: nothing is lost, nothing comes twice. */
async function moveSlot(
  servers: readonly RedisServer[],
  writer: RedisStorage,
  reader: RedisStorage,
): Promise<void> {
  const threadId = 'moves'
  await appendTo(writer, threadId, 'r', [delta('1')])
  const key = threadKey(threadId, 'log')
  // The others say where it is.
  const held = await Promise.all(servers.map((server) => server.ask('EXISTS', key).catch(() => 0)))
  const [from, to] = [servers[held.indexOf(1)], servers[held.indexOf(0)]]
  if (from === undefined || to === undefined) throw new Error('no such servers')
  const slot = String(await from.ask('CLUSTER', 'KEYSLOT', key))
  const [source, target] = (await Promise.all([from, to].map((each) => each.ask('CLUSTER', 'MYID')))).map(
    String,
  )
  await to.ask('CLUSTER', 'SETSLOT', slot, 'IMPORTING', source ?? '')
  await from.ask('CLUSTER', 'SETSLOT', slot, 'MIGRATING', target ?? '')
  const move = (one: string) => from.ask('MIGRATE', '127.0.0.1', String(to.port), one, '0', '5000')
  await move(key)
  const reading = (async () => {
    for await (const batches of reader.log.read(threadId, 0, new AbortController().signal))
      if ((batches.at(-1)?.last ?? 0) >= 20) return
  })()
  const committing = span(2, 20).map((seq) => appendTo(writer, threadId, 'r', [delta(`${seq}`)]))
  // More often than the client tries by itself.
  const triedAgain = async (): Promise<number> =>
    Number(/errorstat_TRYAGAIN:count=(\d+)/.exec(String(await from.ask('INFO', 'errorstats')))?.[1] ?? 0)
  await expect
    .poll(triedAgain, { interval: 20, timeout: 30_000 })
    .toBeGreaterThanOrEqual(20 * committing.length)
  for (const one of Object(await from.ask('CLUSTER', 'GETKEYSINSLOT', slot, '100'))) await move(one)
  for (const server of [to, from]) await server.ask('CLUSTER', 'SETSLOT', slot, 'NODE', target ?? '')
  const committed = await Promise.all(committing)
  expect(committed.map(({ first }) => first)).toEqual(span(2, 20))
  await reading
  expect(seqsOf(await readRecords(reader.log, threadId))).toEqual(span(1, 20))
  await writer.drop(threadId)
}
