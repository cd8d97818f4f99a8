// Requests inside an allowed connection, judged one by one. TLS is opened with the run's own authority, and what
// passes goes out again on a verified connection of the proxy's own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, TLSSocket } from 'node:tls'
import type { Decision } from '../policy/decision.ts'
import { canonicalTarget, TargetError } from '../policy/target.ts'
import type { Authority } from './certificates.ts'
import { rawDenial, requestDenial, type Subject } from './denial.ts'
import { forward, TunnelAgent } from './relay.ts'
import type { Target } from './upstream.ts'

interface InspectedRequest {
  method: string
  /** Request target as on the wire. */
  path: string
  hostHeader: string
  upgrade: boolean
}

export interface Tunnel {
  target: Target
  /** Looked up when it is asked for. */
  binary(): string | undefined
  judge(request: InspectedRequest): Decision
  dial(): Promise<Socket>
}

export interface InspectorOptions {
  authority: Authority
  /** PEM of further authorities that upstream servers may have. */
  upstreamAuthorities?: string | undefined
}

/** Longest request head, in bytes (openshell.md 1.6). */
const HEAD_BYTES_MAX = 16_384
const HANDSHAKE_MS_MAX = 10_000
const TLS_HANDSHAKE_RECORD = 0x16

interface Inspected extends Tunnel {
  agent: TunnelAgent
}

export class Inspector {
  readonly #server: Server
  readonly #options: InspectorOptions
  readonly #tunnels = new WeakMap<object, Inspected>()

  constructor(options: InspectorOptions) {
    this.#options = options
    this.#server = createServer({ maxHeaderSize: HEAD_BYTES_MAX, requestTimeout: 0, keepAliveTimeout: 0 })
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      this.#answer(request, response).catch(() => request.destroy())
    }
    this.#server.on('request', answer)
    this.#server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
      response.writeContinue()
      answer(request, response)
    })
    const refuse = (request: IncomingMessage, socket: Duplex): void => this.#refuseUpgrade(request, socket)
    this.#server.on('upgrade', refuse)
    this.#server.on('connect', refuse)
    this.#server.on('clientError', (_error, socket) => {
      if (!socket.writable) return void socket.destroy()
      const body = '{"error":"policy_denied","detail":"unsupported_l7_protocol: only HTTP/1.1 passes here"}'
      socket.end(rawDenial(body), () => socket.destroy())
    })
  }

  /** Takes over a socket that was told its tunnel stands. The first byte says whether TLS begins on it. */
  accept(socket: Socket, tunnel: Tunnel): void {
    socket.once('readable', () => {
      const first: Buffer | null = socket.read(1)
      if (first === null) return void socket.destroy()
      socket.unshift(first)
      const isTls = first[0] === TLS_HANDSHAKE_RECORD
      const agent = new TunnelAgent(() => this.#dial(tunnel, isTls))
      const client = isTls ? this.#open(socket, tunnel.target.host) : socket
      this.#tunnels.set(client, { ...tunnel, agent })
      client.once('close', () => agent.destroy())
      this.#server.emit('connection', client)
    })
  }

  #open(socket: Socket, host: string): TLSSocket {
    const context = this.#options.authority.contextFor(host)
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: ['http/1.1'],
      // A name other than the tunnel's would ask a shared front for somebody else's service.
      SNICallback: (name, done) =>
        name.toLowerCase() === host.toLowerCase() ? done(null, context) : done(new Error('another name')),
    })
    const timer = setTimeout(() => secure.destroy(), HANDSHAKE_MS_MAX)
    secure.once('secure', () => clearTimeout(timer))
    secure.once('close', () => clearTimeout(timer))
    secure.on('error', () => secure.destroy())
    return secure
  }

  async #dial(tunnel: Tunnel, isTls: boolean): Promise<Duplex> {
    const socket = await tunnel.dial()
    if (!isTls) return socket
    const { host } = tunnel.target
    const ca = this.#options.upstreamAuthorities
    return connectTls({
      socket,
      // An address is no name to ask for, but the certificate has to hold it.
      ...(isIP(host) === 0 ? { servername: host } : { host }),
      ALPNProtocols: ['http/1.1'],
      ...(ca === undefined ? {} : { ca }),
    })
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const tunnel = this.#tunnels.get(request.socket)
    if (tunnel === undefined) return void request.destroy()
    const { method = '', url = '/' } = request
    const decision = tunnel.judge({ method, path: url, hostHeader: hostOf(request), upgrade: false })
    if (decision.verdict === 'deny') {
      const subject: Subject = { target: tunnel.target, method, path: url, binary: tunnel.binary() }
      response.writeHead(403, {
        'content-type': 'application/json',
        'x-openshell-policy': headerSafe(decision.rule ?? ''),
        connection: 'close',
      })
      response.end(requestDenial(subject, decision))
      return
    }
    const path = canonical(url)
    await forward(request, response, { agent: tunnel.agent, path, host: hostOf(request) })
  }

  #refuseUpgrade(request: IncomingMessage, socket: Duplex): void {
    const tunnel = this.#tunnels.get(request.socket)
    socket.on('error', () => socket.destroy())
    if (tunnel === undefined) return void socket.destroy()
    const { method = '', url = '/' } = request
    const judged = tunnel.judge({ method, path: url, hostHeader: hostOf(request), upgrade: true })
    const reason = 'upgrades are not carried by local enforcement'
    const decision: Decision = judged.verdict === 'deny' ? judged : { ...judged, verdict: 'deny', reason }
    const body = requestDenial(
      { target: tunnel.target, method, path: url, binary: tunnel.binary() },
      decision,
    )
    socket.end(rawDenial(body), () => socket.destroy())
  }
}

/** The Host header; what no target equals when there is none, or more than one for servers to choose from. */
export function hostOf({ headersDistinct }: IncomingMessage): string {
  const [host = '(none)', ...others] = headersDistinct['host'] ?? []
  return others.length === 0 ? host : '(several)'
}

/** What goes out is what was judged, so that a server cannot read another path out of it. */
function canonical(target: string): string {
  try {
    const mark = target.indexOf('?')
    const query = mark < 0 ? '' : target.slice(mark)
    return canonicalTarget(target, { allowEncodedSlash: true }).path + query
  } catch (error) {
    // Passed by audit or by an endpoint without rules.
    if (error instanceof TargetError) return target
    throw error
  }
}

function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
