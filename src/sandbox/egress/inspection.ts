// Judges the requests inside an allowed connection one by one. TLS is terminated with the run's own authority; allowed
// requests are sent on a verified connection of the proxy's own.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { isIP, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { connect as connectTls, createSecureContext, type SecureContext, TLSSocket } from 'node:tls'
import type { Decision, EgressRequest } from '../../policy/decide/decision.ts'
import type { GraphqlRequest } from '../../policy/request/body.ts'
import { authorityProblem } from '../../policy/request/request-authority.ts'
import { canonicalTarget, TargetError } from '../../policy/request/target.ts'
import type { Authority } from '../../tunnel/authority.ts'
import { endWith, jsonAnswer, type Target } from '../../tunnel/connect.ts'
import { malformedRequest, rawDenial, requestDenial, type Subject } from './denial.ts'
import { forward } from './forward.ts'
import { readRequestBody } from './request-body.ts'
import { KeptAgents, type TunnelAgent } from './tunnel-agent.ts'
import { carryWebSocket, handshakeProblem, type UpgradeRequest } from './websocket.ts'

interface InspectedRequest extends Pick<EgressRequest, 'isBodyUnread' | 'graphql' | 'jsonRpc'> {
  method: string
  /** Request target as on the wire. */
  path: string
  hostHeader: string
  upgrade: boolean
}

export interface Tunnel {
  target: Target
  /** Equal for tunnels whose connections to the server may serve each other's clients. */
  key: string
  /** Returns the client's executable, which is looked up only when this is called. */
  binary(): string | undefined
  judge(request: InspectedRequest): Decision
  /** Counts and reports the final decision. */
  report(request: InspectedRequest, decision: Decision): void
  dial(): Promise<Socket>
}

export interface InspectorOptions {
  authority: Authority
  /** PEM of the authorities that upstream servers may have, in the place of Node's own; Node's own by default. */
  upstreamAuthorities?: string | undefined
}

/** Longest request head, in bytes (openshell.md 1.6). */
const HEAD_BYTES_MAX = 16_384
const HANDSHAKE_MS_MAX = 10_000
/** Upper bound of open WebSockets; each may hold one incomplete message. */
const WEBSOCKETS_MAX = 64
/** Upper bound of the hosts whose TLS session is kept; a policy rarely names more. */
const SESSIONS_MAX = 256
const TLS_HANDSHAKE_RECORD = 0x16

interface Inspected extends Tunnel {
  agent: TunnelAgent
}

export class Inspector {
  readonly #server: Server
  readonly #options: InspectorOptions
  readonly #tunnels = new WeakMap<object, Inspected>()
  /** Made for the first connection and shared by all, because reading the authorities takes its time. */
  #upstreamContext: SecureContext | undefined
  /** By host: the session to resume, whose server has proved who it is. */
  readonly #sessions = new Map<string, Buffer>()
  readonly #agents = new KeptAgents()
  #websockets = 0

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
    const upgrade = (request: IncomingMessage, socket: Duplex, head: Buffer): void => {
      socket.on('error', () => socket.destroy())
      this.#upgrade({ request, socket, head }).catch(() => socket.destroy())
    }
    this.#server.on('upgrade', upgrade)
    this.#server.on('connect', upgrade)
    this.#server.on('clientError', (_error, socket) => {
      if (!socket.writable) return void socket.destroy()
      const body = '{"error":"policy_denied","detail":"unsupported_l7_protocol: only HTTP/1.1 passes here"}'
      socket.end(rawDenial(body), () => socket.destroy())
    })
  }

  /** Takes over a socket whose tunnel the client knows to be open. The first byte shows whether TLS begins on it. */
  accept(socket: Socket, tunnel: Tunnel): void {
    socket.once('readable', () => {
      const first: Buffer | null = socket.read(1)
      if (first === null) return void socket.destroy()
      socket.unshift(first)
      const isTls = first[0] === TLS_HANDSHAKE_RECORD
      // As in OpenShell's proxy the server is reached before the first request. Both handshakes then go on together.
      const key = `${isTls} ${tunnel.key}`
      const agent = this.#agents.take(key, () => this.#dial(tunnel, isTls))
      const client = isTls ? this.#open(socket, tunnel.target.host) : socket
      this.#tunnels.set(client, { ...tunnel, agent })
      client.once('close', () => this.#agents.keep(key, agent))
      this.#server.emit('connection', client)
    })
  }

  /** Ends the connections to servers that wait for a next client. */
  close(): void {
    this.#agents.close()
  }

  #open(socket: Socket, host: string): TLSSocket {
    const context = this.#options.authority.contextFor(host)
    const secure = new TLSSocket(socket, {
      isServer: true,
      secureContext: context,
      ALPNProtocols: ['http/1.1'],
      // A name other than the tunnel's could reach somebody else's service behind a shared front end.
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
    this.#upstreamContext ??= createSecureContext(ca === undefined ? {} : { ca })
    const session = this.#sessions.get(host)
    const upstream = connectTls({
      socket,
      secureContext: this.#upstreamContext,
      ...(session === undefined ? {} : { session }),
      // An address cannot be sent as a server name, but the certificate has to contain it.
      ...(isIP(host) === 0 ? { servername: host } : { host }),
      ALPNProtocols: ['http/1.1'],
    })
    upstream.on('session', (ticket: Buffer) => {
      if (this.#sessions.size >= SESSIONS_MAX) this.#sessions.clear()
      this.#sessions.set(host, ticket)
    })
    return upstream
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const tunnel = this.#tunnels.get(request.socket)
    if (tunnel === undefined) return void request.destroy()
    const { method = '', url = '/' } = request
    const asked: InspectedRequest = { method, path: url, hostHeader: hostOf(request), upgrade: false }
    const ambiguity = ambiguityOf(request, tunnel, asked)
    if (ambiguity !== undefined) {
      response.writeHead(400, { 'content-type': 'application/json', connection: 'close' }).end(ambiguity)
      return
    }
    const first = tunnel.judge({ ...asked, isBodyUnread: true })
    const body = first.reading === undefined ? undefined : await readRequestBody(request, first.reading)
    const decision = body === undefined ? first : tunnel.judge({ ...asked, ...body.asked })
    tunnel.report(asked, decision)
    if (decision.verdict === 'deny') {
      response.writeHead(403, {
        'content-type': 'application/json',
        'x-openshell-policy': headerSafe(decision.rule ?? ''),
        connection: 'close',
      })
      response.end(denialOf(tunnel, asked, decision))
      return
    }
    const path = canonical(url)
    await forward(request, response, { agent: tunnel.agent, path, host: hostOf(request), body: body?.bytes })
  }

  /** Answers an upgrade, and also a CONNECT inside the connection. */
  async #upgrade(upgrade: UpgradeRequest): Promise<void> {
    const { request, socket } = upgrade
    const tunnel = this.#tunnels.get(request.socket)
    if (tunnel === undefined) return void socket.destroy()
    const { method = '', url = '/' } = request
    const hostHeader = hostOf(request)
    const asked: InspectedRequest = { method, path: url, hostHeader, upgrade: true }
    const ambiguity = ambiguityOf(request, tunnel, asked)
    if (ambiguity !== undefined) {
      return endWith(socket, jsonAnswer(400, 'Bad Request', ambiguity))
    }
    const judged = tunnel.judge(asked)
    const problem = this.#upgradeProblem(request, judged)
    const decision: Decision =
      judged.verdict === 'deny' || problem === undefined
        ? judged
        : { ...judged, verdict: 'deny', reason: problem }
    tunnel.report(asked, decision)
    if (decision.verdict === 'deny') {
      return void socket.end(rawDenial(denialOf(tunnel, asked, decision)), () => socket.destroy())
    }
    this.#websockets += 1
    socket.once('close', () => {
      this.#websockets -= 1
    })
    // Loaded with the first WebSocket: most runners never see one.
    const { readGraphqlMessage } = await import('../../policy/request/graphql.ts')
    const message = { method: 'WEBSOCKET_TEXT', path: url, hostHeader, upgrade: false }
    await carryWebSocket(upgrade, {
      agent: tunnel.agent,
      path: canonical(url),
      host: hostHeader,
      ...messageJudge(tunnel, message, readGraphqlMessage),
    })
  }

  #upgradeProblem(request: IncomingMessage, { isWebSocket }: Decision): string | undefined {
    if (isWebSocket !== true) return 'upgrades are carried on endpoints of protocol websocket only'
    if (this.#websockets >= WEBSOCKETS_MAX) return `there are ${WEBSOCKETS_MAX} WebSockets already`
    return handshakeProblem(request)
  }
}

/** Returns the body of the refusal when two servers could read two hosts from the request; otherwise undefined. */
function ambiguityOf(request: IncomingMessage, tunnel: Tunnel, asked: InspectedRequest): string | undefined {
  const reason = authorityProblem(asked.path, request.headersDistinct['host'] ?? [])
  if (reason === undefined) return undefined
  tunnel.report(asked, { verdict: 'deny', stage: 'l7', reason })
  return malformedRequest(reason)
}

function denialOf(
  { target, binary }: Tunnel,
  { method, path }: InspectedRequest,
  decision: Decision,
): string {
  const subject: Subject = { target, method, path, binary: binary() }
  return requestDenial(subject, decision)
}

/** Judges a binary message as a text, because a server may read it as one; GraphQL rules cannot read it. */
function messageJudge(
  tunnel: Tunnel,
  asked: InspectedRequest,
  readGraphqlMessage: (message: Uint8Array) => GraphqlRequest | undefined,
): Pick<Parameters<typeof carryWebSocket>[1], 'refusalOf' | 'onUnreadable'> {
  return {
    refusalOf(message, isBinary) {
      const first = tunnel.judge({ ...asked, isBodyUnread: true })
      let decision = first
      if (first.reading !== undefined) {
        const unreadable = { operations: [], error: 'a binary message cannot be read' }
        const graphql = isBinary ? unreadable : readGraphqlMessage(message)
        if (graphql === undefined) return undefined
        decision = tunnel.judge({ ...asked, graphql })
      }
      tunnel.report(asked, decision)
      return decision.verdict === 'deny' ? decision.reason : undefined
    },
    onUnreadable: (reason) => tunnel.report(asked, { verdict: 'deny', stage: 'l7', reason }),
  }
}

/** Returns the Host header; a text that equals no target when there is none, or more than one. */
export function hostOf({ headersDistinct }: IncomingMessage): string {
  const [host = '(none)', ...others] = headersDistinct['host'] ?? []
  return others.length === 0 ? host : '(several)'
}

/** Returns the target in the form that was judged, so that a server cannot read another path from it. */
function canonical(target: string): string {
  try {
    const mark = target.indexOf('?')
    const query = mark < 0 ? '' : target.slice(mark)
    return canonicalTarget(target, { allowEncodedSlash: true }).path + query
  } catch (error) {
    // The request was allowed by audit or by an endpoint without rules.
    if (error instanceof TargetError) return target
    throw error
  }
}

function headerSafe(text: string): string {
  return text.replace(/[^\x20-\x7e]/g, '?')
}
