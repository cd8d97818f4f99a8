// The proxy alone, without a sandbox around its clients.
import { once } from 'node:events'
import { createServer as createHttpServer, type RequestListener } from 'node:http'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls, createServer as createTlsServer, type TLSSocket } from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/read/load.ts'
import { proxySettings } from '../../src/proxy-settings.ts'
import type { EgressDecision } from '../../src/sandbox/egress/denial.ts'
import { EgressProxy, type EgressProxyOptions } from '../../src/sandbox/egress/egress-proxy.ts'
import { dialAddress } from '../../src/sandbox/egress/upstream.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { type InspectedWorld, openInspectedWorld } from './inspected-world.ts'

const POLICY = `
version: 1
network_policies:
  api:
    endpoints: [{ host: api.example.test, port: 443, protocol: rest, enforcement: enforce, access: read-only }]
    binaries: [{ path: /usr/bin/tool }]
  plain:
    endpoints: [{ host: plain.example.test, port: 80 }]
    binaries: [{ path: /usr/bin/tool }]
`
const TOOL = { binary: '/usr/bin/tool', ancestors: [], root: 1 }
const OTHER = { binary: '/usr/bin/other', ancestors: [], root: 1 }

const open: { close(): unknown }[] = []
afterEach(() => {
  for (const entry of open.splice(0)) entry.close()
})

async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => sockets.add(socket))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  open.push({
    close() {
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  })
  return (server.address() as AddressInfo).port
}

async function startProxy(options: Partial<EgressProxyOptions>) {
  const { policy } = parsePolicy(POLICY, { file: 'policy.yaml' })
  if (policy === undefined) throw new Error('the policy of this test is wrong')
  const decisions: EgressDecision[] = []
  const proxy = new EgressProxy({
    policy,
    model: undefined,
    route: proxySettings({}),
    authority: createAuthority('this test'),
    holdersOf: () => [TOOL],
    onDecision: (decision) => decisions.push(decision),
    lookup: async () => ['93.184.216.34'],
    ...options,
  })
  const listener = createServer()
  proxy.serve(listener)
  const port = await listen(listener)
  open.push(proxy)
  return { port, decisions }
}

/** Sends `text`, and what `next` makes of the first answer; everything that came, when the connection has ended. */
async function talk(port: number, text: string, next?: string): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  let said = ''
  socket.setEncoding('latin1').on('data', (piece: string) => {
    if (said === '' && next !== undefined) socket.write(next)
    said += piece
  })
  socket.on('error', () => socket.destroy())
  socket.write(text)
  await once(socket, 'close')
  return said
}

const CONNECT_INFERENCE = 'CONNECT inference.local:443 HTTP/1.1\r\nHost: inference.local:443\r\n\r\n'

test("inference.local goes to the runner's own proxy and what that says comes back as it is", async () => {
  const heard: string[] = []
  const parent = await listen(
    createServer((socket) => {
      socket.setEncoding('latin1').on('data', (text: string) => {
        heard.push(text)
        if (heard.length === 1) socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
        else socket.end('answer')
      })
    }),
  )
  const { port } = await startProxy({
    route: proxySettings({ HTTPS_PROXY: `http://me:s3cret@127.0.0.1:${parent}` }),
  })
  expect(await talk(port, CONNECT_INFERENCE, 'question')).toMatch(/^HTTP\/1.1 200 .*\r\n\r\nanswer$/s)
  expect(heard[0]).toContain('Proxy-Authorization: Basic ')
  expect(heard[1]).toBe('question')
})

test('a proxy behind it that refuses gets nothing more of the client', async () => {
  const heard: string[] = []
  const refusal = 'HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno'
  const parent = await listen(
    createServer((socket) => {
      socket.setEncoding('latin1').on('data', (text: string) => {
        heard.push(text)
        socket.write(refusal)
        socket.setTimeout(100, () => socket.end())
      })
    }),
  )
  const { port } = await startProxy({ route: proxySettings({ HTTPS_PROXY: `http://127.0.0.1:${parent}` }) })
  const said = await talk(port, CONNECT_INFERENCE, 'CONNECT evil.example.test:443 HTTP/1.1\r\n\r\n')
  expect(said).toBe(refusal)
  expect(heard.join('')).not.toContain('evil')
})

test('a proxy behind it whose address has https is spoken to in TLS, and no key is told to a stranger', async () => {
  const heard: Buffer[] = []
  const parent = await listen(
    createServer((socket) => void socket.on('data', (bytes) => heard.push(bytes) && socket.end())),
  )
  const route = proxySettings({ HTTPS_PROXY: `https://me:s3cret@127.0.0.1:${parent}` })
  await talk((await startProxy({ route })).port, CONNECT_INFERENCE)
  expect(heard[0]?.[0]).toBe(0x16)
  expect(Buffer.concat(heard).toString('latin1')).not.toContain('CONNECT')
})

test('a proxy behind it that cannot be used is no reason to go past it', async () => {
  const dialled: string[] = []
  const dial: typeof dialAddress = async (address) => {
    dialled.push(address)
    throw new Error('not reached')
  }
  const { port } = await startProxy({ route: proxySettings({ HTTPS_PROXY: 'socks5://127.0.0.1:1' }), dial })
  expect(await talk(port, CONNECT_INFERENCE)).toBe('')
  expect(await talk(port, CONNECT_INFERENCE.replaceAll('inference.local', 'api.example.test'))).not.toMatch(
    /^HTTP\/1.1 200 /,
  )
  expect(dialled).toEqual([])
})

test('without a proxy behind it inference.local cannot be reached', async () => {
  const { port } = await startProxy({})
  expect(await talk(port, CONNECT_INFERENCE)).toMatch(/^HTTP\/1.1 502 /)
})

test('an upstream server that nobody vouches for is not spoken to', async () => {
  const stranger = createAuthority('a stranger')
  const heard: string[] = []
  const upstream = createTlsServer(
    { SNICallback: (name, done) => done(null, stranger.contextFor(name)) },
    (socket) => {
      socket.on('data', (data) => heard.push(data.toString()))
    },
  )
  upstream.on('tlsClientError', () => undefined)
  const https = await listen(upstream)
  const { port } = await startProxy({
    dial: (_address, _port, signal) => dialAddress('127.0.0.1', https, signal),
  })
  const socket = connect(port, '127.0.0.1')
  socket.write('CONNECT api.example.test:443 HTTP/1.1\r\nHost: api.example.test:443\r\n\r\n')
  await once(socket, 'data')
  const client = connectTls({ socket, servername: 'api.example.test', rejectUnauthorized: false })
  client.write('GET / HTTP/1.1\r\nHost: api.example.test\r\n\r\n')
  const [answer] = await once(client, 'data')
  expect(String(answer)).toMatch(/^HTTP\/1.1 502 /)
  expect(heard).toEqual([])
  client.destroy()
})

async function openInspected(answer?: RequestListener): Promise<InspectedWorld> {
  const { policy } = parsePolicy(POLICY, { file: 'policy.yaml' })
  if (policy === undefined) throw new Error('the policy of this test is wrong')
  const world = await openInspectedWorld(policy, answer)
  open.push(world)
  return world
}

async function reached({ upstream }: InspectedWorld): Promise<TLSSocket> {
  const [socket] = await once(upstream, 'secureConnection')
  return socket
}

test('a server is reached ahead of the first request, and again when it has hung up since', async () => {
  const world = await openInspected()
  const first = reached(world)
  const client = await world.open('api.example.test')
  const ahead = await first
  expect(world.heard).toEqual([])
  ahead.end()
  await once(ahead, 'close')
  client.write('GET /mine HTTP/1.1\r\nHost: api.example.test\r\nConnection: close\r\n\r\n')
  expect(await text(client)).toContain('heard GET /mine')
})

test('a server that was reached before goes on with its TLS session', async () => {
  const world = await openInspected((_request, response) => response.setHeader('connection', 'close').end())
  await world.ask('api.example.test', { method: 'GET' })
  const again = reached(world)
  await world.open('api.example.test')
  expect((await again).isSessionReused()).toBe(true)
})

test('a connection to a server that nobody asks anything ends with its client', async () => {
  const world = await openInspected()
  const first = reached(world)
  const client = await world.open('api.example.test')
  const ahead = await first
  client.destroy()
  await once(ahead, 'close')
  expect(world.heard).toEqual([])
})

test('an address behind an allowed name is judged before it is dialled', async () => {
  const dialled: string[] = []
  const { port, decisions } = await startProxy({
    lookup: async () => ['127.0.0.1'],
    dial: (address, _port, signal) => {
      dialled.push(address)
      return dialAddress(address, 9, signal)
    },
  })
  const said = await talk(
    port,
    'GET http://plain.example.test/a?key=s3cret HTTP/1.1\r\nHost: plain.example.test\r\n\r\n',
  )
  expect(said).toContain('policy_denied')
  expect(dialled).toEqual([])
  expect(decisions.at(-1)).toMatchObject({ verdict: 'deny', host: 'plain.example.test', path: '/a' })
  expect(JSON.stringify(decisions) + said).not.toContain('s3cret')
})

test('names that no rule allows are not looked up', async () => {
  const looked: string[] = []
  const { port } = await startProxy({
    lookup: async (host) => {
      looked.push(host)
      return []
    },
  })
  await talk(port, 'CONNECT data-in-a-name.example.org:443 HTTP/1.1\r\nHost: x\r\n\r\n')
  expect(looked).toEqual([])
})

test('a socket that an unlisted process holds too is refused', async () => {
  const { port } = await startProxy({ holdersOf: () => [TOOL, OTHER] })
  const said = await talk(port, 'GET http://plain.example.test/ HTTP/1.1\r\nHost: plain.example.test\r\n\r\n')
  expect(said).toContain('not for /usr/bin/other')
})

test('a process that cannot be found is refused', async () => {
  const { port } = await startProxy({ holdersOf: () => [] })
  const said = await talk(port, 'GET http://plain.example.test/ HTTP/1.1\r\nHost: plain.example.test\r\n\r\n')
  expect(said).toContain('cannot be identified')
})

test('a model on loopback is reached by its name inside, in both forms', async () => {
  const model = await listen(
    createHttpServer((request, response) => {
      response.end(`model heard ${request.method} ${request.url} for ${request.headers.host}`)
    }),
  )
  const dialled = { host: '127.0.0.1', port: model }
  const { port } = await startProxy({ model: { host: 'model.agui-runner.internal', port: model, dialled } })
  const name = `model.agui-runner.internal:${model}`
  const direct = `POST http://${name}/v1/messages HTTP/1.1\r\nHost: ${name}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`
  expect(await talk(port, direct)).toContain(`model heard POST /v1/messages for 127.0.0.1:${model}`)
  const inside = `GET /v1/models HTTP/1.1\r\nHost: ${name}\r\nConnection: close\r\n\r\n`
  expect(await talk(port, `CONNECT ${name} HTTP/1.1\r\nHost: ${name}\r\n\r\n`, inside)).toContain(
    'model heard GET /v1/models',
  )
})
