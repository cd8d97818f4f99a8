// WebSockets through the proxy: what the client says is judged message by message, however it is framed.
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { afterEach, describe, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { policyOf } from '../policy/policy-source.ts'
import { type InspectedWorld, openInspectedWorld, TOOL } from './inspected-world.ts'

const TALK = 'talk.example.test'
const LISTEN = 'listen.example.test'
const AUDITED = 'audited.example.test'
const QUERIES = 'queries.example.test'
const REST = 'rest.example.test'

const enforced = { port: 443, enforcement: 'enforce', protocol: 'websocket' }
// File mode, because the typed loader refuses every GraphQL rule of a websocket endpoint (docs/policy.md).
const POLICY = policyOf(
  {
    version: 1,
    network_policies: {
      sockets: {
        endpoints: [
          { ...enforced, host: TALK, access: 'read-write' },
          { ...enforced, host: LISTEN, access: 'read-only' },
          { host: AUDITED, port: 443, protocol: 'websocket', access: 'read-only' },
          {
            ...{ ...enforced, host: QUERIES },
            rules: [{ allow: { method: 'GET', path: '/graphql' } }, { allow: { operation_type: 'query' } }],
          },
          { ...enforced, host: REST, protocol: 'rest', access: 'full' },
        ],
        binaries: [{ path: TOOL }],
      },
    },
  },
  'file',
)

interface Heard {
  text: string
  isBinary: boolean
}

interface SocketWorld extends InspectedWorld {
  readonly messages: Heard[]
  readonly handshakes: IncomingMessage[]
  /** What the server saw of the end: its code. */
  readonly ended: Promise<number>
  join(host: string, options?: { path?: string; protocol?: string }): Promise<WebSocket>
  /** A handshake by hand, for frames that no library makes. */
  joinRaw(host: string, head?: readonly string[]): Promise<TLSSocket>
}

const opened: { close(): unknown }[] = []
afterEach(() => {
  for (const entry of opened.splice(0)) entry.close()
})

/** A server that compresses when it may, and says everything back. */
async function openSockets(): Promise<SocketWorld> {
  const world = await openInspectedWorld(POLICY)
  const server = new WebSocketServer({ server: world.upstream, perMessageDeflate: { threshold: 0 } })
  opened.push(server, world)
  const messages: Heard[] = []
  const handshakes: IncomingMessage[] = []
  const ended = new Promise<number>((resolve) => {
    server.on('connection', (socket, request) => {
      handshakes.push(request)
      socket.on('message', (data: Buffer, isBinary) => {
        messages.push({ text: data.toString(), isBinary })
        socket.send(data, { binary: isBinary })
      })
      socket.once('close', resolve)
      socket.on('error', () => undefined)
    })
  })
  return {
    ...world,
    messages,
    handshakes,
    ended,
    async join(host, { path = '/', protocol } = {}) {
      const client = await world.open(host)
      const socket = new WebSocket(`wss://${host}${path}`, protocol === undefined ? [] : [protocol], {
        createConnection: () => client,
        perMessageDeflate: true,
      })
      opened.push({ close: () => socket.terminate() })
      await once(socket, 'open')
      return socket
    },
    async joinRaw(host, head = []) {
      const client = await world.open(host)
      const key = randomBytes(16).toString('base64')
      const fixed = ['GET / HTTP/1.1', `Host: ${host}`, 'Connection: Upgrade', 'Upgrade: websocket']
      const lines = [...fixed, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13', ...head]
      client.write(`${lines.join('\r\n')}\r\n\r\n`)
      return client
    },
  }
}

const FIN = 0x80
const OP = { more: 0, text: 1, binary: 2, close: 8, ping: 9 } as const

/** One frame as a client sends it; `first` is its first byte. */
function frame(first: number, payload: string, { isMasked = true } = {}): Buffer {
  const data = Buffer.from(payload)
  if (data.length > 125) throw new Error('short ones only')
  if (!isMasked) return Buffer.concat([Buffer.from([first, data.length]), data])
  const mask = randomBytes(4)
  const masked = data.map((byte, index) => byte ^ (mask[index % 4] ?? 0))
  return Buffer.concat([Buffer.from([first, FIN | data.length]), mask, masked])
}

/** What the server side of a connection said, until it ended. */
async function drain(client: TLSSocket): Promise<Buffer> {
  const pieces: Buffer[] = []
  client.on('data', (piece: Buffer) => pieces.push(piece))
  await once(client, 'close')
  return Buffer.concat(pieces)
}

/** Code and reason of the close frame that ends what was said. */
function closeOf(said: Buffer): { code: number; reason: string } {
  const start = said.lastIndexOf(Buffer.from([FIN | OP.close]))
  const length = said[start + 1] ?? 0
  const payload = said.subarray(start + 2, start + 2 + length)
  return { code: payload.readUInt16BE(0), reason: payload.subarray(2).toString() }
}

describe('messages', () => {
  test('pass both ways where text may pass, without compression though both sides could', async () => {
    const { join, messages, handshakes, decisions } = await openSockets()
    const socket = await join(TALK, { path: '/a/../room?key=s3cret', protocol: 'chat' })
    socket.send('hello')
    expect(String((await once(socket, 'message'))[0])).toBe('hello')
    socket.send(Buffer.from([0, 255]))
    await once(socket, 'message')
    expect(messages.map(({ isBinary }) => isBinary)).toEqual([false, true])
    expect(handshakes[0]?.url).toBe('/room?key=s3cret')
    expect(handshakes[0]?.headers['sec-websocket-extensions']).toBeUndefined()
    expect([socket.extensions, socket.protocol]).toEqual(['', 'chat'])
    const methods = ['CONNECT', 'GET', 'WEBSOCKET_TEXT', 'WEBSOCKET_TEXT']
    expect(decisions.map(({ verdict, method }) => [verdict, method])).toEqual(
      methods.map((method) => ['allow', method]),
    )
    expect(JSON.stringify(decisions)).not.toContain('s3cret')
  })

  test.each([
    ['text', 's3cret'],
    ['binary, which a server may read as text', Buffer.from('s3cret')],
  ])('%s where only listening is allowed closes both sides with 1008', async (_kind, message) => {
    const { join, messages, ended, decisions } = await openSockets()
    const socket = await join(LISTEN)
    socket.send(message)
    const [code, reason] = await once(socket, 'close')
    expect([code, String(reason)]).toEqual([1008, 'policy_denied: WEBSOCKET_TEXT / is not permitted'])
    expect(await ended).toBe(1008)
    expect(messages).toEqual([])
    expect(decisions.at(-1)).toMatchObject({ verdict: 'deny', method: 'WEBSOCKET_TEXT', rule: 'sockets' })
    expect(JSON.stringify(decisions)).not.toContain('s3cret')
  })

  test('audit lets them pass, as audit', async () => {
    const { join, messages, decisions } = await openSockets()
    const socket = await join(AUDITED)
    socket.send('hello')
    await once(socket, 'message')
    expect(messages).toHaveLength(1)
    expect(decisions.at(-1)).toMatchObject({ verdict: 'audit', method: 'WEBSOCKET_TEXT' })
  })

  test('pings, large messages and the end keep their form', async () => {
    const { join, messages, ended } = await openSockets()
    const socket = await join(TALK)
    socket.ping('are you there')
    expect(String((await once(socket, 'pong'))[0])).toBe('are you there')
    const large = 'x'.repeat(3 * 1024 * 1024)
    socket.send(large)
    await once(socket, 'message')
    expect(messages[0]?.text).toBe(large)
    socket.close(4001, 'enough')
    expect(await once(socket, 'close')).toMatchObject([4001, Buffer.from('enough')])
    expect(await ended).toBe(4001)
  })

  test('a message longer than may be closes with 1009', async () => {
    const { join, messages } = await openSockets()
    const socket = await join(TALK)
    socket.send('x'.repeat(5 * 1024 * 1024))
    expect((await once(socket, 'close'))[0]).toBe(1009)
    expect(messages).toEqual([])
  })
})

describe('frames', () => {
  test('fragments are one message, and control frames between them do not part it', async () => {
    const { joinRaw, messages } = await openSockets()
    const client = await joinRaw(TALK)
    client.write(frame(OP.text, 'one '))
    client.write(
      Buffer.concat([frame(FIN | OP.ping, 'p'), frame(OP.more, 'mess'), frame(FIN | OP.more, 'age')]),
    )
    client.write(frame(FIN | OP.close, ''))
    await drain(client)
    expect(messages).toEqual([{ text: 'one message', isBinary: false }])
  })

  test('a forbidden message in fragments is refused whole, and what is behind it is lost', async () => {
    const { joinRaw, messages } = await openSockets()
    const client = await joinRaw(LISTEN)
    const pieces = [frame(OP.text, 'forb'), frame(FIN | OP.ping, ''), frame(FIN | OP.more, 'idden')]
    client.write(Buffer.concat([...pieces, frame(FIN | OP.text, 'more'), frame(FIN | OP.binary, 'more')]))
    expect(closeOf(await drain(client)).code).toBe(1008)
    expect(messages).toEqual([])
  })

  test('frames that came with the handshake are judged too', async () => {
    const { open, messages } = await openSockets()
    const client = await open(LISTEN)
    const lines = ['GET / HTTP/1.1', `Host: ${LISTEN}`, 'Connection: Upgrade', 'Upgrade: websocket']
    const key = randomBytes(16).toString('base64')
    const head = [...lines, `Sec-WebSocket-Key: ${key}`, 'Sec-WebSocket-Version: 13'].join('\r\n')
    client.write(Buffer.concat([Buffer.from(`${head}\r\n\r\n`), frame(FIN | OP.text, 'early')]))
    expect(closeOf(await drain(client)).code).toBe(1008)
    expect(messages).toEqual([])
  })

  test.each([
    ['without a mask', frame(FIN | OP.text, 'plain', { isMasked: false })],
    ['marked as compressed', frame(FIN | 0x40 | OP.text, 'packed')],
    ['of a reserved bit', frame(FIN | 0x20 | OP.text, 'x')],
    ['of an unknown kind', frame(FIN | 0x03, 'x')],
    ['a control frame in fragments', frame(OP.ping, 'x')],
    ['a continuation of nothing', frame(FIN | OP.more, 'x')],
    ['a message inside another', Buffer.concat([frame(OP.text, 'a'), frame(FIN | OP.text, 'b')])],
    ['a close of an unknown code', frame(FIN | OP.close, '\x03\xed')],
  ])('%s: closed, told, and nothing arrives', async (_what, bytes) => {
    const { joinRaw, messages, decisions } = await openSockets()
    const client = await joinRaw(TALK)
    client.write(Buffer.concat([bytes, frame(FIN | OP.text, 'more')]))
    expect([1002, 1007]).toContain(closeOf(await drain(client)).code)
    expect(messages).toEqual([])
    expect(decisions.at(-1)).toMatchObject({ verdict: 'deny', method: 'WEBSOCKET_TEXT' })
  })

  test('text that is no UTF-8 closes with 1007', async () => {
    const { joinRaw, messages } = await openSockets()
    const client = await joinRaw(TALK)
    const bad = frame(FIN | OP.text, 'x')
    // Its mask is such that the one byte becomes 0xff.
    bad[2] = (bad[6] ?? 0) ^ 0xff
    client.write(bad)
    expect(closeOf(await drain(client)).code).toBe(1007)
    expect(messages).toEqual([])
  })

  test('what comes behind the end stays here', async () => {
    const { joinRaw, messages } = await openSockets()
    const client = await joinRaw(TALK)
    client.write(Buffer.concat([frame(FIN | OP.close, '\x03\xe8'), frame(FIN | OP.text, 'after')]))
    await drain(client)
    expect(messages).toEqual([])
  })
})

describe('the handshake', () => {
  const upgrade = (host: string, head: readonly string[], path = '/'): string =>
    `${[`GET ${path} HTTP/1.1`, `Host: ${host}`, ...head].join('\r\n')}\r\n\r\n`
  const UPGRADE = ['Connection: Upgrade', 'Upgrade: websocket']
  const KEY = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  const VERSION = 'Sec-WebSocket-Version: 13'

  test.each<[string, string, string[]]>([
    ['on a REST endpoint', REST, [...UPGRADE, KEY, VERSION]],
    ['to another protocol', TALK, ['Connection: Upgrade', 'Upgrade: h2c', KEY, VERSION]],
    ['to two protocols', TALK, ['Connection: Upgrade', 'Upgrade: websocket, h2c', KEY, VERSION]],
    ['without a key', TALK, [...UPGRADE, VERSION]],
    ['with two keys', TALK, [...UPGRADE, KEY, KEY, VERSION]],
    ['of another version', TALK, [...UPGRADE, KEY, 'Sec-WebSocket-Version: 8']],
    ['with a body', TALK, [...UPGRADE, KEY, VERSION, 'Content-Length: 3']],
    ['that is an ordinary GET', TALK, ['Connection: close']],
    ['that does not name its connection', TALK, ['Upgrade: websocket', 'Connection: close', KEY, VERSION]],
  ])('refused: one %s', async (_what, host, head) => {
    const { talk, handshakes, heard, decisions } = await openSockets()
    expect(await talk(host, upgrade(host, head))).toMatch(/^HTTP\/1.1 403 .*policy_denied/s)
    expect([handshakes, heard]).toEqual([[], []])
    expect(decisions.filter(({ verdict }) => verdict === 'deny')).toHaveLength(1)
  })

  test('what a server says instead of yes comes back as it is', async () => {
    const { talk, upstream } = await openSockets()
    upstream.removeAllListeners('upgrade')
    upstream.on('upgrade', (_request, socket) => {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 4\r\nWWW-Authenticate: Bearer\r\n\r\nwho?')
    })
    const said = await talk(TALK, upgrade(TALK, [...UPGRADE, KEY, VERSION]))
    expect(said).toMatch(/^HTTP\/1.1 401 .*www-authenticate: Bearer.*who\?$/is)
  })

  test.each([
    ['an extension that nobody offered', 'Sec-WebSocket-Extensions: permessage-deflate'],
    ['a subprotocol that nobody offered', 'Sec-WebSocket-Protocol: other'],
    ['the wrong proof', ''],
  ])('%s is no agreement', async (_what, line) => {
    const { talk, upstream } = await openSockets()
    upstream.removeAllListeners('upgrade')
    const accept = line === '' ? 'bm9wZQ==' : 's3pPLMBiTxaQ9kYGzzhZRbK+xOo='
    const head = ['HTTP/1.1 101 Yes', ...UPGRADE, `Sec-WebSocket-Accept: ${accept}`]
    upstream.on('upgrade', (_request, socket) => {
      socket.on('error', () => undefined)
      socket.write(`${[...head, ...(line === '' ? [] : [line])].join('\r\n')}\r\n\r\n`)
    })
    expect(await talk(TALK, upgrade(TALK, [...UPGRADE, KEY, VERSION]))).toMatch(/^HTTP\/1.1 502 /)
  })
})

describe('GraphQL over WebSocket', () => {
  const subscribe = (query: string): string =>
    JSON.stringify({ id: '1', type: 'subscribe', payload: { query } })

  test('operations that are listed pass, and what is no operation', async () => {
    const { join, messages } = await openSockets()
    const socket = await join(QUERIES, { path: '/graphql', protocol: 'graphql-transport-ws' })
    const said = [
      '{"type":"connection_init","payload":{}}',
      subscribe('{ viewer }'),
      '{"id":"1","type":"complete"}',
    ]
    for (const message of said) {
      socket.send(message)
      await once(socket, 'message')
    }
    expect(messages.map(({ text }) => text)).toEqual(said)
  })

  test.each([
    ['a mutation', subscribe('mutation { drop }')],
    ['a mutation of the older protocol', subscribe('mutation { drop }').replace('subscribe', 'start')],
    ['a type in escapes', subscribe('mutation { drop }').replace('subscribe', 'sub\\u0073cribe')],
    ['a type twice', subscribe('mutation { drop }').replace('{', '{"type":"ping",')],
    ['no JSON', 'mutation { drop }'],
    ['an unknown type', '{"type":"execute"}'],
    ['no id', '{"type":"subscribe","payload":{"query":"{ a }"}}'],
    ['a query in a binary message', Buffer.from(subscribe('{ viewer }'))],
  ])('refused with 1008: %s', async (_what, message) => {
    const { join, messages, decisions } = await openSockets()
    const socket = await join(QUERIES, { path: '/graphql' })
    socket.send(message)
    expect((await once(socket, 'close'))[0]).toBe(1008)
    expect(messages).toEqual([])
    expect(JSON.stringify(decisions)).not.toContain('drop')
  })
})
