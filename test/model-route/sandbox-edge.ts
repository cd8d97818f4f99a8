import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createAuthority } from '../../src/tunnel/authority.ts'

export interface SandboxEdge {
  /** Of the CONNECT proxy, without credentials. */
  proxyUrl: string
  caFile: string
  /** Every CONNECT's target, and every other request's method and target, in order. */
  asked: string[]
  /** What reached the TLS server. */
  requests: { method: string; path: string; headers: IncomingMessage['headers'] }[]
  /** `Proxy-Authorization` of each request to the proxy. */
  proxyCredentials: (string | undefined)[]
  close(): Promise<void>
}

export interface SandboxEdgeOptions {
  /** The name in the certificate. */
  host?: string
  answer?: RequestListener
  /** Instead of the tunnel. */
  onConnect?: (socket: Socket) => void
}

/** A CONNECT proxy that leads every tunnel to one TLS server with a certificate by a throw-away CA. */
export async function startSandboxEdge(options: SandboxEdgeOptions = {}): Promise<SandboxEdge> {
  const folder = mkdtempSync(join(tmpdir(), 'agui-edge-'))
  const caFile = join(folder, 'ca.pem')
  const authority = createAuthority('test')
  const leaf = authority.issue(options.host ?? 'inference.local')
  writeFileSync(caFile, authority.pem)

  const asked: string[] = []
  const requests: SandboxEdge['requests'] = []
  const proxyCredentials: SandboxEdge['proxyCredentials'] = []
  const answer = options.answer ?? ((_, response) => response.end('{"data":[]}'))
  const inner = createTlsServer({ cert: leaf.cert, key: leaf.key }, (request, response) => {
    requests.push({ method: request.method ?? '', path: request.url ?? '', headers: request.headers })
    answer(request, response)
  })
  const innerPort = await listen(inner)

  const proxy = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`)
    proxyCredentials.push(request.headers['proxy-authorization'])
    answer(request, response)
  })
  proxy.on('connect', (request: IncomingMessage, socket: Socket) => {
    asked.push(request.url ?? '')
    proxyCredentials.push(request.headers['proxy-authorization'])
    socket.on('error', () => socket.destroy())
    if (options.onConnect) return options.onConnect(socket)
    const tunnel = connect(innerPort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      socket.pipe(tunnel).pipe(socket)
    })
    tunnel.on('error', () => socket.destroy())
    socket.on('close', () => tunnel.destroy())
  })
  const port = await listen(proxy)
  return {
    proxyUrl: `http://127.0.0.1:${port}`,
    caFile,
    asked,
    requests,
    proxyCredentials,
    async close() {
      await Promise.all([inner, proxy].map(closeServer))
      rmSync(folder, { recursive: true })
    },
  }
}

export async function listen(server: Server): Promise<number> {
  const sockets = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  // A tunnel's socket is no longer the server's, so closeAllConnections does not know it.
  server.once('closing', () => {
    for (const socket of sockets) socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return (server.address() as AddressInfo).port
}

export async function closeServer(server: Server): Promise<void> {
  const closed = once(server, 'close')
  server.close()
  server.emit('closing')
  await closed
}
