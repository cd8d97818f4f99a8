import { afterAll, beforeAll, expect, test } from 'vitest'
import { events, post, run, runInput } from '../support/client.ts'
import { openRaw, type RawSocket } from '../support/raw-socket.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

// Long enough for a client that is honest, on a busy machine.
const HEADERS_MS = 1500
const REQUEST_MS = 2500
const KEEP_ALIVE_MS = 300
const BODY_MAX = 65_536
/** A busy machine; far less than Node's own thirty seconds. */
const LATE_MS = 10_000

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench({
    script: {
      rules: [
        { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
  runner = await bench.open({
    HEADERS_TIMEOUT_MS: String(HEADERS_MS),
    REQUEST_TIMEOUT_MS: String(REQUEST_MS),
    KEEP_ALIVE_TIMEOUT_MS: String(KEEP_ALIVE_MS),
    REQUEST_BODY_BYTES_MAX: String(BODY_MAX),
    FILE_BYTES_MAX: String(BODY_MAX),
    URL_BYTES_MAX: '1000',
    HEADERS_BYTES_MAX: '8192',
    HEADERS_MAX: '50',
  })
})
afterAll(() => bench.close())

const POST_HEAD =
  'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ncontent-length: 5000\r\n\r\n'
const PUT_HEAD = 'PUT /files/slow.txt HTTP/1.1\r\nhost: HOST\r\ncontent-length: 5000\r\n\r\n'
const HANDSHAKE =
  'GET /ws HTTP/1.1\r\nhost: HOST\r\nconnection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-version: 13\r\n'
const LONG = 'x'.repeat(5000)

const SLOW: [what: string, act: (socket: RawSocket) => void, atLeastMs: number][] = [
  ['says nothing', () => {}, HEADERS_MS],
  ['dribbles its request line', (socket) => socket.dribble(`GET /${LONG}`, 20), HEADERS_MS],
  [
    'dribbles its headers',
    (socket) => {
      socket.send('GET /sessions HTTP/1.1\r\nhost: HOST\r\n')
      socket.dribble(`x-slow: ${LONG}`, 20)
    },
    HEADERS_MS,
  ],
  [
    'dribbles a WebSocket handshake',
    (socket) => {
      socket.send(HANDSHAKE)
      socket.dribble(`x-slow: ${LONG}`, 20)
    },
    HEADERS_MS,
  ],
  [
    'dribbles the body of a run',
    (socket) => {
      socket.send(POST_HEAD)
      socket.dribble(LONG, 20)
    },
    REQUEST_MS,
  ],
  [
    'dribbles an upload',
    (socket) => {
      socket.send(PUT_HEAD)
      socket.dribble(LONG, 20)
    },
    REQUEST_MS,
  ],
]

test.concurrent.each(SLOW)(
  'who %s is told so and hung up on, and meanwhile others are served',
  async (_what, act, atLeastMs) => {
    const begun = performance.now()
    const slow = await Promise.all(Array.from({ length: 20 }, () => openRaw(runner.url)))
    for (const socket of slow) act(socket)
    expect((await fetch(`${runner.url}/health`)).status).toBe(200)
    for (const said of await Promise.all(slow.map((socket) => socket.closed))) {
      expect(said).toMatch(/^HTTP\/1\.1 408 /)
      expect(said).toContain('"code":"request_timeout"')
    }
    const took = performance.now() - begun
    expect(took).toBeGreaterThan(atLeastMs - 100)
    expect(took).toBeLessThan(atLeastMs + LATE_MS)
  },
)

test('a connection that waits for nothing is let go; one that waits for an answer is not', async () => {
  const reader = await post(runner.url, runInput('patient', 'hang'))
  const all = events(reader)
  const socket = await openSocket(runner.url)
  const idle = await openRaw(runner.url)
  idle.send('GET /health HTTP/1.1\r\nhost: HOST\r\n\r\n')
  const said = await idle.closed
  expect(said).toMatch(/^HTTP\/1\.1 200 /)
  // One answer, and silence: it was hung up on, not told off.
  expect(said.match(/HTTP\/1\.1/g)).toHaveLength(1)
  // Both have said nothing for longer than any of the times that hold for requests.
  const silent = await openRaw(runner.url)
  await silent.closed
  socket.send({ type: 'interrupt', threadId: 'patient' })
  expect(await socket.frame(({ type }) => type === 'interrupted')).toMatchObject({ interrupted: true })
  expect((await all).at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  await socket.close()
})

async function answerTo(text: string): Promise<string> {
  const socket = await openRaw(runner.url)
  socket.send(text)
  return await socket.closed
}

const HEADS: [what: string, request: string, status: number, code: string][] = [
  [
    'a URL above URL_BYTES_MAX',
    `GET /files/${'a'.repeat(1000)} HTTP/1.1\r\nhost: HOST\r\n`,
    414,
    'url_too_long',
  ],
  ['a query above it', `GET /sessions?a=${'b'.repeat(1000)} HTTP/1.1\r\nhost: HOST\r\n`, 414, 'url_too_long'],
  [
    'a URL above it where there is no route',
    `GET /${'nowhere/'.repeat(200)} HTTP/1.1\r\nhost: HOST\r\n`,
    414,
    'url_too_long',
  ],
  [
    'a URL of another host than its Host header',
    'GET http://elsewhere.example/health HTTP/1.1\r\nhost: HOST\r\n',
    400,
    'invalid_input',
  ],
  [
    'a URL of a host that is not ours',
    'GET http://elsewhere.example/sessions HTTP/1.1\r\nhost: elsewhere.example\r\n',
    403,
    'host_not_allowed',
  ],
  [
    'a header above HEADERS_BYTES_MAX',
    `GET /health HTTP/1.1\r\nhost: HOST\r\nx: ${'a'.repeat(9000)}\r\n`,
    431,
    'headers_too_large',
  ],
  [
    'headers that are too many together',
    `GET /health HTTP/1.1\r\nhost: HOST\r\n${`x: ${'a'.repeat(200)}\r\n`.repeat(45)}`,
    431,
    'headers_too_large',
  ],
  [
    'more headers than HEADERS_MAX',
    `GET /health HTTP/1.1\r\nhost: HOST\r\n${'x: y\r\n'.repeat(50)}`,
    431,
    'headers_too_large',
  ],
  [
    'a handshake with more',
    `${HANDSHAKE}sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n${'x: y\r\n'.repeat(50)}`,
    431,
    'headers_too_large',
  ],
]

test.each(HEADS)('%s is refused as every other error is', async (_what, text, status, code) => {
  const said = await answerTo(`${text}connection: close\r\n\r\n`)
  expect(said).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(said).toContain('application/json')
  expect(said).toContain(`"code":"${code}"`)
})

test('what is just within the limits is served', async () => {
  const path = `/sessions?a=${'b'.repeat(1000 - '/sessions?a='.length)}`
  expect(await answerTo(`GET ${path} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n`)).toMatch(
    /^HTTP\/1\.1 200 /,
  )
  for (const url of ['http://HOST/sessions?a=b', 'HTTP://HOST/health'])
    expect(await answerTo(`GET ${url} HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n`)).toMatch(
      /^HTTP\/1\.1 200 /,
    )
  const many = 'x: y\r\n'.repeat(48)
  expect(await answerTo(`GET /sessions HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n${many}\r\n`)).toMatch(
    /^HTTP\/1\.1 200 /,
  )
})

test('a body above the limit is refused, announced or not, and nothing of an upload stays', async () => {
  const tooLong = JSON.stringify(runInput('big', 'x'.repeat(BODY_MAX)))
  const announced = await post(runner.url, tooLong)
  expect([announced.status, await announced.json()]).toMatchObject([413, { error: { code: 'too_large' } }])
  const chunk = `1000\r\n${' '.repeat(0x1000)}\r\n`
  const head =
    'POST / HTTP/1.1\r\nhost: HOST\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n'
  const said = await answerTo(`${head}${chunk.repeat(32)}`)
  expect(said).toMatch(/^HTTP\/1\.1 413 /)
  expect(said).toContain('"code":"too_large"')
  const upload = await fetch(`${runner.url}/files/big.txt`, { method: 'PUT', body: 'x'.repeat(BODY_MAX + 1) })
  expect([upload.status, await upload.json()]).toMatchObject([413, { error: { code: 'too_large' } }])
  expect((await fetch(`${runner.url}/files/big.txt`)).status).toBe(404)
  // And the runner goes on.
  expect((await run(runner.url, runInput('after', 'hello'))).at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
})
