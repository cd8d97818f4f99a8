import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import type { TLSSocket } from 'node:tls'
import { expect, test } from 'vitest'
import type { GatewayFault, Script } from '../../src/mock/script.ts'
import { connectTo, openTunnel, soon, startGateway, toBody, toPost, toRequest } from './edge-client.ts'

const MIB = 1024 * 1024
const REQUEST_BYTES_MAX = 10 * MIB
const HELLO: Script = { rules: [{ reply: 'hello {{prompt}}' }] }
const NOT_ALLOWED = '{"error":"connection not allowed by policy"}'

test.each(['inference.local:443', 'INFERENCE.Local:443'])(
  'CONNECT %s is taken out before the policy',
  async (target) => {
    const asked: unknown[] = []
    const gateway = await startGateway({
      script: HELLO,
      decide: (of) => {
        asked.push(of)
        return { allow: false, reason: 'never' }
      },
    })
    const tunnel = await openTunnel(gateway, { target })
    expect((await tunnel.send(toPost('you')).response()).status).toBe(200)
    expect(asked).toEqual([])
  },
)

test('TLS speaks HTTP/1.1 only and shows a leaf of the authority in both files', async () => {
  const gateway = await startGateway({ script: HELLO })
  for (const file of [gateway.caFile, gateway.caBundleFile]) {
    const tunnel = await openTunnel(gateway, { ca: await readFile(file, 'utf8') })
    const socket = tunnel.socket as TLSSocket
    expect(socket.alpnProtocol).toBe('http/1.1')
    expect(socket.getPeerCertificate().subjectaltname).toBe('DNS:inference.local')
  }
})

test('two gateways do not trust each other', async () => {
  const [one, other] = [await startGateway({ script: HELLO }), await startGateway({ script: HELLO })]
  const foreign = await readFile(other.caFile, 'utf8')
  await expect(openTunnel(one, { ca: foreign })).rejects.toMatchObject({
    code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  })
})

test('the provider gets the listed headers, its own key, one model and no query', async () => {
  const gateway = await startGateway({ script: HELLO, model: 'the-configured-one' })
  const tunnel = await openTunnel(gateway)
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'application/json',
    'User-Agent': 'claude-cli/2.1.329',
    'x-api-key': 'of the client',
    Authorization: 'Bearer of-the-client',
    'anthropic-beta': 'a,b',
    'x-stainless-lang': 'js',
    'x-claude-code-session-id': 'session',
    traceparent: '00-1-2-03',
  }
  const answer = await tunnel
    .send(toRequest('POST /v1/messages?beta=true', toBody('you'), headers))
    .response()
  expect(answer.body).toContain('"model":"the-configured-one"')
  const request = await gateway.waitForRequest(({ route }) => route === 'inference', soon())
  expect(request.headers['x-stainless-lang']).toBe('js')
  expect(request.body).toMatchObject({ model: 'claude-opus-5-5' })
  expect(request.forwarded).toEqual({
    method: 'POST',
    path: '/v1/messages',
    headers: {
      'content-type': 'application/json',
      accept: 'application/json',
      'user-agent': 'claude-cli/2.1.329',
      'anthropic-beta': 'a,b',
      'anthropic-version': '2023-06-01',
      'x-api-key': 'route-key',
    },
    body: { ...JSON.parse(toBody('you')), model: 'the-configured-one' },
  })
})

test('a version the client names is kept', async () => {
  const gateway = await startGateway({ script: HELLO })
  const tunnel = await openTunnel(gateway)
  await tunnel
    .send(toRequest('POST /v1/messages', toBody('you'), { 'anthropic-version': '2024-10-22' }))
    .response()
  const request = await gateway.waitForRequest(({ route }) => route === 'inference', soon())
  expect(request.forwarded?.headers['anthropic-version']).toBe('2024-10-22')
})

test.each([
  'POST /v1/messages/count_tokens?beta=true',
  'POST /v1/messages/',
  'POST /v1/messages/batches',
  'GET /v1/messages',
  'GET /',
  'GET /api/hello',
  'POST /v1%2fmessages',
  'POST /../v1/messages',
  'POST /model/a/b/invoke',
])('%s is refused and the connection closed, also after a routed request', async (line) => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  expect((await tunnel.send(toPost('first')).response()).status).toBe(200)
  const refused = await tunnel.send(toRequest(line, line.startsWith('POST') ? toBody('no') : '')).response()
  expect(refused).toMatchObject({ status: 403, reason: 'Forbidden', body: NOT_ALLOWED })
  expect(refused.headers).toEqual({
    'content-type': 'application/json',
    'content-length': String(NOT_ALLOWED.length),
  })
  await tunnel.closed
})

test('HEAD / is refused and the connection closed', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  expect((await tunnel.send(toRequest('HEAD /')).response({ bodiless: true })).status).toBe(403)
  await tunnel.closed
})

test.each([
  'POST //v1//messages',
  'POST /v1/./x/../messages',
  'POST /v1/%6Dessages',
  'POST /v1;a=b/messages',
])('%s is the messages route', async (line) => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const answer = await tunnel.send(toRequest(line, toBody('you'))).response()
  expect(line.startsWith('post') ? [200, 400] : [200]).toContain(answer.status)
})

test('a streamed answer is chunked and the connection serves the next request', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  for (const prompt of ['one', 'two']) {
    const answer = await tunnel.send(toPost(prompt)).response()
    expect(answer).toMatchObject({ status: 200, reason: 'OK' })
    expect(answer.headers).toMatchObject({
      'content-type': 'text/event-stream; charset=utf-8',
      'transfer-encoding': 'chunked',
    })
    expect(answer.headers).not.toHaveProperty('content-length')
    expect(answer.body).toContain(`"text":"hello ${prompt}"`)
  }
})

test('a request without streaming gets one JSON message, still chunked', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO, model: 'm' }))
  const answer = await tunnel.send(toPost('you', { stream: false })).response()
  expect(answer.headers).toMatchObject({ 'content-type': 'application/json', 'transfer-encoding': 'chunked' })
  expect(JSON.parse(answer.body)).toMatchObject({
    type: 'message',
    role: 'assistant',
    model: 'm',
    content: [{ type: 'text', text: 'hello you' }],
    stop_reason: 'end_turn',
  })
})

test('a request of more than 10 MiB gets 413 while it is still being sent', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const head = toRequest('POST /v1/messages', '', { 'content-length': String(2 * REQUEST_BYTES_MAX) })
  tunnel.send(head).send(Buffer.alloc(REQUEST_BYTES_MAX - Buffer.byteLength(head), 0x20))
  const refused = await tunnel.response()
  expect(refused).toMatchObject({ status: 413, reason: 'Payload Too Large', body: 'Payload Too Large' })
  expect(refused.headers).toEqual({ 'content-length': '17' })
  await tunnel.closed
})

test('a request of exactly 10 MiB, head included, passes', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const body = toBody('you')
  const digits = String(REQUEST_BYTES_MAX).length
  const head = (length: number): string =>
    toRequest('POST /v1/messages', '', { 'content-length': String(length) })
  const length = REQUEST_BYTES_MAX - head(10 ** (digits - 1)).length
  tunnel
    .send(head(length))
    .send(body)
    .send(Buffer.alloc(length - body.length, 0x20))
  expect((await tunnel.response()).status).toBe(200)
})

test('a chunked upload is accepted', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const body = toBody('chunks')
  const chunks = [body.slice(0, 10), body.slice(10)].map(
    (text) => `${text.length.toString(16)}\r\n${text}\r\n`,
  )
  tunnel
    .send('POST /v1/messages HTTP/1.1\r\ntransfer-encoding: chunked\r\n\r\n')
    .send(`${chunks.join('')}0\r\n\r\n`)
  expect((await tunnel.response()).body).toContain('hello chunks')
})

test.each([
  ['both lengths', 'content-length: 2\r\ntransfer-encoding: chunked'],
  ['a length that is no number', 'content-length: two'],
  ['two lengths that differ', 'content-length: 2\r\ncontent-length: 3'],
])('%s: 400 and close', async (_name, headers) => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const refused = await tunnel.send(`POST /v1/messages HTTP/1.1\r\n${headers}\r\n\r\n{}`).response()
  expect(refused).toMatchObject({ status: 400, reason: 'Bad Request', body: 'Bad Request' })
  await tunnel.closed
})

test('Expect gets no 100, the request is served', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO }))
  const request = toRequest('POST /v1/messages', toBody('you'), { expect: '100-continue' })
  expect((await tunnel.send(request).response()).status).toBe(200)
})

test('a body that is no JSON passes to the provider, which refuses it', async () => {
  const gateway = await startGateway({ script: HELLO })
  const answer = await (await openTunnel(gateway)).send(toRequest('POST /v1/messages', 'no json')).response()
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body)).toMatchObject({ type: 'error', error: { type: 'invalid_request_error' } })
  expect(gateway.requests.at(-1)?.forwarded?.body).toBe('no json')
})

const FAULTS: [GatewayFault, number, unknown][] = [
  [
    'not-configured',
    503,
    { error: 'cluster inference is not configured', hint: 'run: openshell cluster inference set --help' },
  ],
  ['no-compatible-route', 400, { error: 'no compatible inference route available' }],
  ['unavailable', 503, { error: 'inference service unavailable' }],
  ['service-error', 502, { error: 'inference service error' }],
  ['unauthorized', 401, { error: 'unauthorized' }],
]
test.each(FAULTS)('fault %s: %i, and the connection stays', async (gateway, status, body) => {
  const script: Script = { rules: [{ times: 1, reply: [{ gateway }] }, ...HELLO.rules] }
  const tunnel = await openTunnel(await startGateway({ script }))
  const answer = await tunnel.send(toPost('you')).response()
  expect(answer.status).toBe(status)
  expect(JSON.parse(answer.body)).toEqual(body)
  expect((await tunnel.send(toPost('again')).response()).body).toContain('hello again')
})

test.each(['POST /v1/chat/completions', 'POST /v1/embeddings', 'POST /model/some.model/invoke'])(
  '%s finds no route and the connection stays',
  async (line) => {
    const tunnel = await openTunnel(await startGateway({ script: HELLO }))
    const answer = await tunnel.send(toRequest(line, '{}')).response()
    expect(answer).toMatchObject({ status: 400, body: '{"error":"no compatible inference route available"}' })
    expect((await tunnel.send(toPost('again')).response()).status).toBe(200)
  },
)

test('the one model can be discovered, buffered', async () => {
  const tunnel = await openTunnel(await startGateway({ script: HELLO, model: 'only-one' }))
  const list = await tunnel.send(toRequest('GET /v1/models')).response()
  expect(list.headers['content-length']).toBe(String(list.body.length))
  expect(JSON.parse(list.body)).toMatchObject({ data: [{ id: 'only-one' }] })
  expect(JSON.parse((await tunnel.send(toRequest('GET /v1/models/only-one')).response()).body)).toMatchObject(
    { id: 'only-one' },
  )
  expect((await tunnel.send(toRequest('GET /v1/models/other')).response()).status).toBe(404)
})

test.each([
  [429, 'Too Many Requests', 'rate_limit_error'],
  [529, 'Unknown', 'overloaded_error'],
])("the provider's %i passes with its headers and body", async (status, reason, type) => {
  const headers = { 'retry-after': '7', connection: 'close' }
  const script: Script = {
    rules: [{ times: 1, reply: [{ error: { status, message: 'busy', headers } }] }, ...HELLO.rules],
  }
  const tunnel = await openTunnel(await startGateway({ script }))
  const answer = await tunnel.send(toPost('you')).response()
  expect(answer).toMatchObject({ status, reason })
  expect(answer.headers['retry-after']).toBe('7')
  expect(answer.headers).not.toHaveProperty('connection')
  expect(JSON.parse(answer.body)).toEqual({ type: 'error', error: { type, message: 'busy' } })
  expect((await tunnel.send(toPost('again')).response()).status).toBe(200)
})

const truncation = (reason: string): string =>
  `data: {"error":{"message":"response truncated: ${reason}","type":"proxy_stream_error"}}\n\n`

test.each([
  ['idle', 'chunk idle timeout exceeded'],
  ['size', 'exceeded maximum streaming body size'],
  ['read', 'upstream read error'],
] as const)('truncate %s appends the line and ends the message in order', async (truncate, reason) => {
  const script: Script = { rules: [{ times: 1, reply: ['begin', { truncate }] }, ...HELLO.rules] }
  const gateway = await startGateway({ script })
  const tunnel = await openTunnel(gateway)
  const { body } = await tunnel.send(toPost('you')).response()
  expect(body).toContain('"text":"begin"')
  expect(body.endsWith(truncation(reason))).toBe(true)
  expect(body).not.toContain('message_stop')
  expect(await gateway.requests.at(-1)?.answered).toMatchObject({ status: 200, end: 'truncated' })
  expect((await tunnel.send(toPost('again')).response()).body).toContain('hello again')
})

test('a provider that is silent for too long is truncated', async () => {
  const script: Script = { rules: [{ reply: ['begin', { hang: true }] }] }
  const tunnel = await openTunnel(await startGateway({ script, limits: { idleMs: 20, bytesMax: MIB } }))
  const { body } = await tunnel.send(toPost('you')).response()
  expect(body.endsWith(truncation('chunk idle timeout exceeded'))).toBe(true)
})

test('a reader that is slow is not taken for a silent provider', async () => {
  const script: Script = {
    rules: [
      { when: { prompt: 'clock' }, reply: [{ headersAfter: 200 }, 'later'] },
      { reply: [{ deltas: { count: 100_000 } }] },
    ],
  }
  const gateway = await startGateway({ script, limits: { idleMs: 20, bytesMax: 64 * MIB } })
  const slow = await openTunnel(gateway)
  slow.send(toPost('much')).socket.pause()
  await (await openTunnel(gateway)).send(toPost('clock')).response()
  slow.socket.resume()
  expect((await slow.response()).body).toContain('message_stop')
})

test('the head goes out before there is a body', async () => {
  const gateway = await startGateway({ script: { rules: [{ reply: [{ gate: 'body' }, 'at last'] }] } })
  const tunnel = await openTunnel(gateway)
  await tunnel.send(toPost('you', { stream: false })).sees('\r\n\r\n')
  gateway.open('body')
  expect((await tunnel.response()).body).toContain('at last')
})

test('a stream that grows too long is truncated, the piece over the limit left out', async () => {
  const script: Script = { rules: [{ reply: [{ deltas: { count: 20_000 } }] }] }
  const tunnel = await openTunnel(await startGateway({ script, limits: { idleMs: 60_000, bytesMax: MIB } }))
  const { body } = await tunnel.send(toPost('you')).response()
  const line = truncation('exceeded maximum streaming body size')
  expect(body.endsWith(line)).toBe(true)
  expect(body.length - line.length).toBeLessThanOrEqual(MIB)
  expect(body.length).toBeGreaterThan(MIB / 2)
})

test('drop destroys the connection in mid-stream', async () => {
  const gateway = await startGateway({
    script: { rules: [{ reply: [{ text: 'half', open: true }, { drop: true }] }] },
  })
  const tunnel = await openTunnel(gateway)
  await tunnel.send(toPost('you')).sees('"text":"half"')
  await expect(tunnel.response()).rejects.toThrow('ended in the middle')
  expect(await gateway.requests.at(-1)?.answered).toMatchObject({ end: 'broken' })
})

test('a client that leaves is noticed', async () => {
  const gateway = await startGateway({ script: { rules: [{ reply: ['begin', { gate: 'never' }] }] } })
  const tunnel = await openTunnel(gateway)
  await tunnel.send(toPost('you')).sees('begin')
  tunnel.socket.destroy()
  expect(await gateway.requests.at(-1)?.answered).toMatchObject({ end: 'left' })
})

test('reset: CONNECT is answered 200, then the connection is reset, as often as the script says', async () => {
  const script: Script = { ...HELLO, connect: { fault: 'reset', times: 2 } }
  const gateway = await startGateway({ script })
  for (let attempt = 0; attempt < 2; attempt += 1) await expect(openTunnel(gateway)).rejects.toThrow()
  expect(gateway.requests.map(({ method }) => method)).toEqual(['CONNECT', 'CONNECT'])
  expect(await gateway.requests[0]?.answered).toMatchObject({ status: 200 })
  expect((await (await openTunnel(gateway)).send(toPost('you')).response()).status).toBe(200)
})

test('untrusted: the leaf is of another authority', async () => {
  const gateway = await startGateway({ script: { ...HELLO, connect: { fault: 'untrusted' } } })
  await expect(openTunnel(gateway)).rejects.toMatchObject({ code: 'UNABLE_TO_VERIFY_LEAF_SIGNATURE' })
})

test.each([
  ['refuse', 403],
  ['bad-gateway', 502],
] as const)('connect fault %s is answered %i', async (fault, status) => {
  const gateway = await startGateway({ script: { ...HELLO, connect: { fault } } })
  await expect(openTunnel(gateway)).rejects.toThrow(`CONNECT was answered ${status}`)
})

test('silent: the tunnel opens and nothing comes', async () => {
  const gateway = await startGateway({ script: { ...HELLO, connect: { fault: 'silent' } } })
  const plain = await connectTo(gateway)
  expect((await plain.send('CONNECT inference.local:443 HTTP/1.1\r\n\r\n').response()).status).toBe(200)
  const said: Buffer[] = []
  plain.socket.on('data', (chunk: Buffer) => said.push(chunk))
  plain.send('\x16\x03\x01 as if TLS began')
  await gateway.close()
  await plain.closed
  expect(said).toEqual([])
})

test('TLS bytes that come in the same packet as CONNECT are not lost', async () => {
  const gateway = await startGateway({ script: HELLO })
  const plain = await connectTo(gateway)
  // Not TLS: the handshake fails at once, which shows that the bytes arrived.
  plain.send('CONNECT inference.local:443 HTTP/1.1\r\n\r\nGET / HTTP/1.1\r\n\r\n')
  await once(plain.socket, 'close', { signal: soon() })
})
