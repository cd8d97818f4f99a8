// Servers, proxies and files that are not as they should be: what the link then says, and that it goes on as soon as it can.
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { createServer as createHttp2Server } from 'node:http2'
import type { AddressInfo } from 'node:net'
import { status } from '@grpc/grpc-js'
import { afterEach, expect, test } from 'vitest'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { run, runInput } from '../support/client.ts'
import { type Bench, type LinkedRunner, openBench, SESSION } from '../support/linked-runner.ts'

const AGENT = {
  script: { rules: [{ when: { prompt: 'xxx' }, reply: 'Long.' }, { reply: 'You said: {{prompt}}' }] },
}
const PATIENT = { timeout: 10_000 }

let bench: Bench
const opened: { close(): void }[] = []
afterEach(async () => {
  await bench.close()
  for (const one of opened.splice(0)) one.close()
})

const answers = (): string[] =>
  bench.plane.pushed.flatMap(({ type, payload }) => (type === 'assistant' ? [payload] : []))
const answered = (...texts: string[]) =>
  bench.plane.until(() => texts.every((text) => answers().includes(text)))
const reasonOf = (runner: LinkedRunner) => expect.poll(() => runner.link.state().reason, PATIENT)
const logged = (runner: LinkedRunner, words: string): number =>
  runner.lines.filter((line) => line.includes(words)).length

async function portOf(server: ReturnType<typeof createServer> | ReturnType<typeof createHttp2Server>) {
  opened.push(server)
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

test('a message that is above gRPC’s usual limit is run, and so is the next', async () => {
  bench = await openBench(AGENT)
  await bench.open()
  bench.plane.say('x'.repeat(4 * 1024 * 1024))
  bench.plane.say('short')
  await answered('Long.', 'You said: short')
})

test('an answer of something that speaks no gRPC is no refusal', async () => {
  bench = await openBench(AGENT)
  const web = createHttp2Server((_, response) => void response.writeHead(404).end())
  const variables = { AMBIENT_GRPC_URL: `127.0.0.1:${await portOf(web)}` }
  const runner = await bench.open({ variables })
  await run(runner.url, { ...runInput(SESSION), messages: [{ id: 'u', role: 'user', content: 'hello' }] })
  await reasonOf(runner).toMatch(/watch: .*status code 404.*push: .*status code 404/)
  expect(runner.link.state().name).toBe('connecting')
})

test.each([
  [status.ALREADY_EXISTS, 'it is there'],
  [status.RESOURCE_EXHAUSTED, 'grpc: received message larger than max (5 vs. 4)'],
])('a push that is refused with %i each time does not hold up the others', async (code, details) => {
  bench = await openBench(AGENT)
  bench.plane.faults.refusePush = (type) => (type === 'lifecycle' ? { code, details } : undefined)
  await bench.open()
  bench.plane.say('one')
  bench.plane.say('two')
  await answered('You said: one', 'You said: two')
})

test('a server that has lost what it acknowledged is said, and gets the rest when it shows any other message', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  const runner = await bench.open()
  plane.say('one')
  await answered('You said: one')
  await expect.poll(() => runner.link.behind(), PATIENT).toBe(0)
  const [said, ...lost] = plane.messages.splice(0)
  const last = lost.at(-1)?.seq
  let isRefused = false
  plane.faults.refusePush = () => {
    if (isRefused) return undefined
    isRefused = true
    return { code: status.UNAVAILABLE, details: 'down' }
  }
  await run(runner.url, { ...runInput(SESSION), messages: [{ id: 'u', role: 'user', content: 'two' }] })
  await reasonOf(runner).toContain(
    `push: The control plane shows no message of this session, not even number ${last}`,
  )
  expect(runner.link.state().name).toBe('connecting')
  if (said !== undefined) plane.messages.push(said)
  await answered('You said: two')
  await expect.poll(() => runner.link.state().name, PATIENT).toBe('connected')
})

test('a watch that is refused each time is said once, and is never called connected', async () => {
  bench = await openBench(AGENT)
  const { plane } = bench
  plane.faults.refuseWatch = () => ({ code: status.UNAVAILABLE, details: 'no database' })
  const runner = await bench.open()
  await plane.until(() => plane.watches > 4)
  expect(runner.link.state()).toEqual({ name: 'connecting', reason: 'watch: UNAVAILABLE: no database' })
  expect(logged(runner, 'interrupted')).toBe(1)
  expect(logged(runner, 'is connected')).toBe(0)
  plane.faults = {}
  await expect.poll(() => runner.link.state(), PATIENT).toEqual({ name: 'connected', reason: undefined })
})

test('a watch that stands does not hide that nothing can be pushed', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  plane.faults.refusePush = () => ({ code: status.INTERNAL, details: 'no database' })
  const runner = await bench.open()
  plane.say('one')
  await reasonOf(runner).toBe('push: INTERNAL: no database')
  const { watches } = plane
  plane.expireTokens()
  await plane.until(() => plane.watches > watches && plane.watching > 0)
  plane.say('two')
  await expect.poll(() => logged(runner, 'is accepted'), PATIENT).toBe(2)
  expect(runner.link.state()).toEqual({ name: 'connecting', reason: 'push: INTERNAL: no database' })
  plane.faults = {}
  await answered('You said: one', 'You said: two')
})

test('messages that come late, twice or behind a cut are run once each', async () => {
  bench = await openBench(AGENT, { scheme: 'B' })
  const { plane } = bench
  const runner = await bench.open()
  await plane.until(() => plane.watching > 0)
  plane.faults.isDeaf = true
  const late = plane.say('late')
  const cut = plane.say('cut')
  plane.faults.isDeaf = false
  const first = plane.say('first')
  await answered('You said: first')
  plane.redeliver(late)
  plane.redeliver(first)
  await answered('You said: late')
  // Nor do watches that are refused pass over what was not delivered.
  const { watches } = plane
  plane.faults.refuseWatch = () => ({ code: status.UNAVAILABLE, details: 'no database' })
  plane.expireTokens()
  await plane.until(() => plane.watches > watches + 3)
  plane.faults = {}
  await answered('You said: cut')
  plane.say('last')
  await answered('You said: last')
  expect(answers().sort()).toEqual(['cut', 'first', 'last', 'late'].map((word) => `You said: ${word}`))
  expect(cut).toBeLessThan(first)
  expect(logged(runner, 'is skipped')).toBe(0)
})

test('a session in which nobody speaks is watched all the time', async () => {
  bench = await openBench(AGENT)
  const times = { retry: { first: 10, longest: 3_600_000 }, call: 1000, look: 5, watch: 150 }
  await bench.open({ times })
  // With pauses that grow, the last one would be longer than the test.
  await bench.plane.until(() => bench.plane.watches > 12)
})

test.each([
  ['407 No', /status 407/],
  ['a dead line', /socket hang up/],
  ['silence', /nothing answers/],
])('a proxy that answers CONNECT with %s is said', async (answer, says) => {
  bench = await openBench(AGENT)
  const proxy = createServer()
  proxy.on('connect', (_, socket) => {
    socket.on('error', () => undefined)
    if (answer === 'silence') opened.push({ close: () => socket.destroy() })
    else if (answer === 'a dead line') socket.destroy()
    else socket.end(`HTTP/1.1 ${answer}\r\n\r\n`)
  })
  const runner = await bench.open({ env: { HTTPS_PROXY: `http://127.0.0.1:${await portOf(proxy)}` } })
  await reasonOf(runner).toMatch(says)
})

test('a server under an unknown authority, and one without HTTP/2, are said', async () => {
  const leaf = createAuthority('test').issue('localhost')
  bench = await openBench(AGENT, { tls: leaf })
  const runner = await bench.open()
  await reasonOf(runner).toMatch(/certificate/)
  await runner.close()
  const web = await portOf(createServer((_, response) => response.end()))
  const variables = { AMBIENT_GRPC_URL: `127.0.0.1:${web}`, AMBIENT_GRPC_USE_TLS: 'false' }
  await reasonOf(await bench.open({ variables })).toMatch(/speaks no HTTP\/2/)
})

test.each(['', 'garbage', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
  'a named authority %j ends the start',
  async (text) => {
    bench = await openBench(AGENT)
    const file = `${bench.directory}/ca.pem`
    writeFileSync(file, text)
    for (const name of ['AMBIENT_GRPC_CA_CERT_FILE', 'AMBIENT_CP_CA_CERT_FILE'])
      await expect(bench.open({ variables: { [name]: file } })).rejects.toThrow('holds no certificate')
  },
)
