import { afterAll, beforeAll, expect, test } from 'vitest'
import { run, runInput } from '../support/client.ts'
import { sendRaw } from '../support/fuzz.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

const ANSWER_MS = 10_000

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench()
  runner = await bench.open({ SESSION_ID: 'own' })
})
afterAll(() => bench.close())

const request = (head: string[], body = ''): Promise<string> =>
  sendRaw(runner.url, `${[...head, 'host: HOST'].join('\r\n')}\r\n\r\n${body}`, ANSWER_MS)

test('who offers HTTP/2 in passing, as Java’s client does, is answered over HTTP/1.1, body and all', async () => {
  const body = JSON.stringify({ thread_id: 'nobody', model: '' })
  const said = await request(
    [
      'POST /model HTTP/1.1',
      'connection: Upgrade, HTTP2-Settings',
      'upgrade: h2c',
      'http2-settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA',
      'content-type: application/json',
      `content-length: ${body.length}`,
    ],
    body,
  )
  expect(said).toMatch(/^HTTP\/1\.1 400 /)
  // The body was read: it is the model that is wrong.
  expect(said).toContain('In the body: model:')
})

test('the connection goes on behind such an offer', async () => {
  const offer = 'GET /health HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: h2c\r\n\r\n'
  const last = 'GET /nowhere HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n'
  const said = await sendRaw(runner.url, `${offer}${last}`, ANSWER_MS)
  expect(said).toMatch(/^HTTP\/1\.1 200 /)
  expect(said).toContain('"healthy"')
})

test('a WebSocket is still one, and elsewhere than at /ws it is none', async () => {
  const socket = await openSocket(runner.url)
  socket.send('no command')
  expect(await socket.frame(({ type }) => type === 'error')).toMatchObject({
    error: { code: 'invalid_input' },
  })
  await socket.close()
  const plain = await fetch(`${runner.url}/ws`)
  expect(plain.status).toBe(400)
  expect(await plain.json()).toMatchObject({ error: { code: 'invalid_input' } })
  const said = await request([
    'GET /health HTTP/1.1',
    'connection: Upgrade',
    'upgrade: websocket',
    'sec-websocket-version: 13',
    'sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==',
  ])
  expect(said).toMatch(/^HTTP\/1\.1 200 /)
})

const FRAMES: readonly unknown[] = [
  '',
  'null',
  '[]',
  '0',
  '{',
  '[[[[',
  { type: 'nothing' },
  { type: 'run' },
  { type: 'run', input: { threadId: 1 } },
  { type: 'subscribe', threadId: 'nobody' },
  { type: 'subscribe', threadId: 'own', after: 'x' },
  { type: 'subscribe', threadId: 'own', after: 1e9 },
  { type: 'interrupt', threadId: {} },
  { type: 'interrupt', threadId: 'nobody' },
  { type: 'message', threadId: 'own', content: { a: 1 } },
  { type: 'message', threadId: 'own', content: 'x', delivery: 'pigeon' },
  { __proto__: null, type: '__proto__' },
]

test('every frame that is no proper command is answered with an error, and the socket lives on', async () => {
  const socket = await openSocket(runner.url)
  for (const frame of FRAMES) socket.send(frame)
  socket.socket.send(Buffer.from([0xff, 0x00]))
  await socket.frame(() => socket.frames.length > FRAMES.length)
  for (const { type, error } of socket.frames) {
    expect(type).toBe('error')
    expect(['invalid_input', 'not_found', 'replay_expired']).toContain(error?.code)
  }
  await socket.close()
})

test.each([
  ['text/event-stream', 'text/event-stream'],
  ['application/vnd.ag-ui.event+proto', 'application/vnd.ag-ui.event+proto'],
])('the head of a stream comes before its first event, also as %s', async (accept, type) => {
  const left = new AbortController()
  const response = await fetch(`${runner.url}/agui/events`, { headers: { accept }, signal: left.signal })
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe(type)
  left.abort()
})

test('what is too large for a head is refused as every other error is', async () => {
  const said = await request(['GET /health HTTP/1.1', `x: ${'a'.repeat(20_000)}`])
  expect(said).toMatch(/^HTTP\/1\.1 431 /)
  expect(said).toContain('"code":"headers_too_large"')
  expect((await run(runner.url, runInput('after', 'hello'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
})
