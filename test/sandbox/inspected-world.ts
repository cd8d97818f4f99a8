// The proxy between a real client and a real server, both over TLS, without a sandbox around the client.
import { once } from 'node:events'
import { request as httpRequest, type IncomingMessage, type RequestListener } from 'node:http'
import { createServer as createHttpsServer, type Server as HttpsServer } from 'node:https'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Policy } from '../../src/policy/read/schema.ts'
import { proxySettings } from '../../src/proxy-settings.ts'
import type { EgressDecision } from '../../src/sandbox/egress/denial.ts'
import { EgressProxy } from '../../src/sandbox/egress/egress-proxy.ts'
import { dialAddress } from '../../src/sandbox/egress/upstream.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'

export const TOOL = '/usr/bin/tool'

export interface InspectedWorld {
  readonly proxyPort: number
  /** PEM of the proxy's own authority. */
  readonly authority: string
  readonly upstream: HttpsServer
  /** Everything that reached a server, as `METHOD /target body`. */
  readonly heard: string[]
  readonly decisions: EgressDecision[]
  /** A TLS connection through the proxy; what the server says on it is the proxy's. */
  open(host: string): Promise<TLSSocket>
  /** Sends bytes as they are; everything that came back, when the connection has ended. */
  talk(host: string, bytes: string): Promise<string>
  ask(host: string, options: AskOptions): Promise<{ status: number; body: string }>
  closeProxy(): void
  close(): void
}

export interface AskOptions {
  method?: string
  path?: string
  headers?: Record<string, string | string[]>
  body?: string | Buffer
}

/** `answer` replaces the server's own answer, which says what it heard; `asker` is the executable that asks. */
export async function openInspectedWorld(
  policy: Policy,
  answer?: RequestListener,
  asker: () => string = () => TOOL,
): Promise<InspectedWorld> {
  const sockets = new Set<Socket>()
  const servers: Server[] = []
  const listen = async (server: Server): Promise<number> => {
    server.on('connection', (socket: Socket) => sockets.add(socket))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    servers.push(server)
    return (server.address() as AddressInfo).port
  }
  const heard: string[] = []
  const reply: RequestListener = (request, response) => {
    note(request, heard).then(
      (line) => response.end(`heard ${line}`),
      () => response.destroy(),
    )
  }
  const theirs = createAuthority('servers of this test')
  const upstream = createHttpsServer(
    { SNICallback: (name, done) => done(null, theirs.contextFor(name)) },
    answer ?? reply,
  )
  const https = await listen(upstream)
  const ours = createAuthority('the proxy of this test')
  const decisions: EgressDecision[] = []
  const proxy = new EgressProxy({
    policy,
    model: undefined,
    route: proxySettings({}),
    authority: ours,
    upstreamAuthorities: theirs.pem,
    holdersOf: () => [{ binary: asker(), ancestors: [], root: 1 }],
    onDecision: (decision) => decisions.push(decision),
    lookup: async () => ['93.184.216.34'],
    dial: (_address, _port, signal) => dialAddress('127.0.0.1', https, signal),
  })
  const listener = createServer()
  proxy.serve(listener)
  const proxyPort = await listen(listener)

  const open = async (host: string): Promise<TLSSocket> => {
    const socket = connect(proxyPort, '127.0.0.1')
    socket.write(`CONNECT ${host}:443 HTTP/1.1\r\nHost: ${host}:443\r\n\r\n`)
    await once(socket, 'data')
    const client = connectTls({ socket, servername: host, ca: ours.pem })
    client.on('error', () => client.destroy())
    await once(client, 'secureConnect')
    return client
  }
  return {
    proxyPort,
    authority: ours.pem,
    upstream,
    heard,
    decisions,
    open,
    async talk(host, bytes) {
      const client = await open(host)
      client.write(bytes, 'latin1')
      return await text(client).catch(() => '(broken off)')
    },
    async ask(host, { method = 'POST', path = '/', headers = {}, body = '' }) {
      const client = await open(host)
      const request = httpRequest({
        createConnection: () => client,
        method,
        path,
        headers: { host, connection: 'close', ...headers },
      })
      request.end(body)
      const closed = once(client, 'close')
      const [response] = (await once(request, 'response')) as [IncomingMessage]
      const said = { status: response.statusCode ?? 0, body: await text(response) }
      await closed
      return said
    },
    closeProxy: () => proxy.close(),
    close() {
      proxy.close()
      for (const server of servers) server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

async function note(request: IncomingMessage, heard: string[]): Promise<string> {
  const line = `${request.method} ${request.url} ${await text(request)}`.trim()
  heard.push(line)
  return line
}
