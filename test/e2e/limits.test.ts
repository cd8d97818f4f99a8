import { afterEach, expect, test } from 'vitest'
import { events, post, run, runInput } from '../support/client.ts'
import { openRaw, type RawSocket } from '../support/raw-socket.ts'
import { openBench } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const TOKEN = 'a-token-of-the-test'
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }
const HANG = { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true as const }] }

const SCRIPT = { rules: [HANG, { reply: 'You said: {{prompt}}' }] }

const opened: { close(): Promise<void> }[] = []
afterEach(async () => {
  for (const one of opened.splice(0)) await one.close()
})

/** The agent has no part in a limit of the server's. */
async function open(env: Record<string, string>): Promise<ScriptedRunner> {
  const runner = await openScriptedRunner({ script: SCRIPT }, env)
  opened.push(runner)
  return runner
}

async function bench() {
  const one = await openBench({ script: SCRIPT })
  opened.push(one)
  return one
}

test('requests above the limit are told when to come again; probes, health and a stream go on', async () => {
  const runner = await open({ REQUESTS_PER_MINUTE_MAX: '3' })
  const stream = await post(runner.url, runInput('steady', 'hang'))
  const reading = events(stream)
  const statuses: number[] = []
  for (let count = 0; count < 3; count += 1) statuses.push((await fetch(`${runner.url}/sessions`)).status)
  // The run was the first.
  expect(statuses).toEqual([200, 200, 429])
  const refused = await post(runner.url, runInput('late', 'hello'))
  expect(refused.status).toBe(429)
  expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(Number(refused.headers.get('retry-after'))).toBeLessThanOrEqual(20)
  expect(await refused.json()).toMatchObject({
    error: { code: 'rate_limited', details: { limit: 'REQUESTS_PER_MINUTE_MAX' } },
  })
  // No header that anybody can write makes another address of it.
  const forwarded = await fetch(`${runner.url}/sessions`, { headers: { 'x-forwarded-for': '203.0.113.9' } })
  expect(forwarded.status).toBe(429)
  for (let count = 0; count < 10; count += 1) expect((await fetch(`${runner.url}/health`)).status).toBe(200)
  expect((await fetch(`${runner.url}/ready`)).status).toBe(200)
  expect((await fetch(`${runner.url}/metrics`)).status).toBe(200)
  await runner.close()
  expect((await reading).at(-1)).toMatchObject({ outcome: { type: 'cancelled' } })
})

test('who fails at the doors too often is refused as that; who has the token is not, from the same address', async () => {
  const runner = await open({ AGUI_TOKEN: TOKEN, AUTH_FAILURES_PER_MINUTE_MAX: '3' })
  const guess = (headers: Record<string, string>): Promise<Response> =>
    fetch(`${runner.url}/sessions`, { headers })
  const statuses: number[] = []
  for (const token of ['a', 'b']) statuses.push((await guess({ authorization: `Bearer ${token}` })).status)
  statuses.push((await guess({})).status)
  expect(statuses).toEqual([401, 401, 401])
  const refused = await guess({ authorization: 'Bearer c' })
  expect(refused.status).toBe(429)
  expect(refused.headers.get('retry-after')).toMatch(/^\d+$/)
  expect(await refused.json()).toMatchObject({
    error: { code: 'rate_limited', details: { limit: 'AUTH_FAILURES_PER_MINUTE_MAX' } },
  })
  // Also where a page is open: whoever names a token there has it checked at the same doors.
  const docs = await fetch(`${runner.url}/docs`, {
    headers: { accept: 'text/html', authorization: 'Bearer e' },
  })
  expect(docs.status).toBe(429)
  expect((await fetch(`${runner.url}/docs`, { headers: { accept: 'text/html' } })).status).toBe(200)
  // A foreign page is refused the same way, and so is a WebSocket.
  expect((await guess({ ...AUTHORIZED, origin: 'http://evil.example' })).status).toBe(429)
  expect((await fetch(runner.url, { headers: { accept: 'text/html', origin: 'null' } })).status).toBe(429)
  await expect(openSocket(runner.url, ['bearer.d'])).rejects.toThrow('429')
  expect((await guess(AUTHORIZED)).status).toBe(200)
  expect((await fetch(`${runner.url}/health`)).status).toBe(200)
  const socket = await openSocket(runner.url, [`bearer.${TOKEN}`])
  await socket.close()
})

test('a WebSocket that sends too much is told so, frame by frame, and another one is not', async () => {
  const runner = await open({ SOCKET_MESSAGES_PER_MINUTE_MAX: '10' })
  const flood = await openSocket(runner.url)
  for (let count = 0; count < 50; count += 1) flood.send({ type: 'interrupt', threadId: `nobody ${count}` })
  await flood.frame(() => flood.frames.length === 50)
  const refused = flood.frames.filter(({ error }) => error?.code === 'rate_limited')
  // One comes back in six seconds.
  expect(refused.length).toBeGreaterThan(37)
  expect(refused.length).toBeLessThanOrEqual(40)
  for (const { type, error } of refused) {
    expect(type).toBe('error')
    expect(error).toMatchObject({
      details: { limit: 'SOCKET_MESSAGES_PER_MINUTE_MAX', retryAfterSeconds: expect.any(Number) },
    })
  }
  const calm = await openSocket(runner.url)
  calm.send({ type: 'run', input: runInput('calm', 'hello') })
  expect(await calm.frame(({ event }) => event?.type === 'RUN_FINISHED')).toBeDefined()
  // What was refused was not done: a run among it left no thread.
  flood.send({ type: 'run', input: runInput('flooded', 'hello') })
  await flood.frame(() => flood.frames.length === 51)
  expect((await fetch(`${runner.url}/sessions/flooded`)).status).toBe(404)
  await Promise.all([flood.close(), calm.close()])
})

/** Frames of one WebSocket text message, masked with zeros. */
function textFrame(text: string): string {
  const length = Buffer.byteLength(text)
  if (length > 125) throw new Error('not made for long frames')
  return `\x81${String.fromCharCode(0x80 | length)}\0\0\0\0${text}`
}

test('a WebSocket that takes no answers is not read on, and its flood costs bounded memory', async () => {
  const runner = await (await bench()).start({
    SUBSCRIBER_BUFFER_BYTES_MAX: '65536',
    SOCKET_MESSAGES_PER_MINUTE_MAX: '0',
  })
  const deaf = await openRaw(runner.url)
  deaf.send(
    'GET /ws HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: websocket\r\n' +
      'sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
  )
  await deaf.heard(/^HTTP\/1\.1 101 /)
  deaf.pause()
  // Each frame is answered with as many bytes at least: 240 MB if nobody held back. What the kernel keeps of them is read
  // in the end, so there are few for their bytes.
  const piece = textFrame(`{"pad":"${'x'.repeat(110)}"}`).repeat(2000)
  const taken = await deaf.sendUntilFull(piece, 1000)
  expect(taken).toBeLessThan(1000)
  const text = await (await fetch(`${runner.url}/metrics`)).text()
  const resident = Number(/^process_resident_memory_bytes (\S+)$/m.exec(text)?.[1])
  expect(resident).toBeLessThan(250 * 2 ** 20)
  // It was held back, not given up: it goes on when the answers are taken.
  deaf.resume()
  await deaf.flushed()
  deaf.destroy()
})

test('connections above the limit are hung up on at once, and those that were accepted go on', async () => {
  const runner = await (await bench()).open({ SUBSCRIBERS_MAX: '2', OTHER_CONNECTIONS_MAX: '6' })
  const running = post(runner.url, runInput('accepted', 'hang'))
  const stream = await running
  const reading = events(stream)
  const accepted: RawSocket[] = []
  // One is the stream's.
  for (let count = 0; count < 7; count += 1) accepted.push(await openRaw(runner.url))
  const surplus = await Promise.all(Array.from({ length: 20 }, () => openRaw(runner.url)))
  // Nothing was said, nothing is waited for.
  for (const socket of surplus) expect(await socket.closed).toBe('')
  for (const socket of accepted) {
    socket.send('GET /health HTTP/1.1\r\nhost: HOST\r\n\r\n')
    expect(await socket.heard(/"healthy"/)).toMatch(/^HTTP\/1\.1 200 /)
  }
  accepted[0]?.send(
    'POST /interrupt HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 24\r\n\r\n{"thread_id":"accepted"}',
  )
  expect((await reading).at(-1)).toMatchObject({ outcome: { type: 'cancelled' } })
  // Room again when somebody leaves.
  for (const socket of accepted) socket.destroy()
  await Promise.all(accepted.map((socket) => socket.closed))
  expect((await run(runner.url, runInput('later', 'hello'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
  const metrics = await (await fetch(`${runner.url}/metrics`)).text()
  expect(metrics).toMatch(/^agui_runner_http_connections_dropped_total 20$/m)
})
