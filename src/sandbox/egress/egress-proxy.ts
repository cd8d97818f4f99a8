// The proxy is the only way out of the network namespace (openshell.md 1.5 to 1.7). It serves CONNECT, and plain http
// in absolute form.
import { lookup as lookupName } from 'node:dns/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { Server as Listener, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Decision, EgressRequest } from '../../policy/decide/decision.ts'
import { decideEgress } from '../../policy/decide/egress.ts'
import { isInference } from '../../policy/decide/inference.ts'
import type { Policy } from '../../policy/read/schema.ts'
import type { ProxySettings } from '../../proxy-settings.ts'
import type { Authority } from '../../tunnel/authority.ts'
import {
  BAD_GATEWAY,
  BAD_REQUEST,
  ESTABLISHED,
  endWith,
  HEAD_BYTES_MAX,
  HEAD_TOO_LARGE,
  join,
  parseTarget,
  type Target,
} from '../../tunnel/connect.ts'
import type { SocketHolder } from './binary-identity.ts'
import { connectionDenial, type EgressDecision, rawDenial, type Subject, toEgressDecision } from './denial.ts'
import { forward } from './forward.ts'
import { hostOf, Inspector } from './inspection.ts'
import { type RequestBody, readRequestBody } from './request-body.ts'
import { TunnelAgent } from './tunnel-agent.ts'
import { type Dial, dialAddress, dialThrough } from './upstream.ts'

/** Address of the configured model when it is not inference.local; open to every process inside, without a rule. */
export interface ModelEndpoint extends Target {
  /** The address that the runner dials, when the model has another name inside. */
  dialled?: Target | undefined
}

export interface EgressProxyOptions {
  policy: Policy
  /** This machine's own proxy settings. */
  route: ProxySettings
  model: ModelEndpoint | undefined
  authority: Authority
  upstreamAuthorities?: string | undefined
  /** Returns who holds the connection from `port`. Undefined where that cannot be seen; then any program counts. */
  holdersOf: ((port: number) => readonly SocketHolder[]) | undefined
  /** Called for each decision. `root` is the pid of the started process; only a denial has one. */
  onDecision(decision: EgressDecision, root: number | undefined): void
  /** Replacements of the system's name service and of TCP, for tests. */
  lookup?: ((host: string) => Promise<readonly string[]>) | undefined
  dial?: typeof dialAddress | undefined
}

const CONNECTIONS_MAX = 1024

/** One for all connections: an error of their own would cost each of them a stack trace. */
const GONE = new Error('the client has gone')

const NOBODY: Decision = {
  verdict: 'deny',
  stage: 'l4',
  reason: 'the process that asked cannot be identified',
}

/** A holder of which nothing is known: any program that a rule lists counts, and the reason says so. */
const ANYBODY = { binary: undefined, ancestors: undefined, root: undefined }

type Holder = SocketHolder | typeof ANYBODY

/** The client of a connection, and the rules' decision on each of its requests. */
interface Asker {
  /** What distinguishes this client from others: each process tree and executable that holds the connection. */
  readonly names: readonly string[]
  readonly root: number | undefined
  readonly binary: string | undefined
  decide(request: EgressRequest): Decision
}

export class EgressProxy {
  readonly #server: Server
  readonly #options: EgressProxyOptions
  readonly #inspector: Inspector
  readonly #sockets = new Set<Socket>()

  constructor(options: EgressProxyOptions) {
    this.#options = options
    this.#inspector = new Inspector(options)
    this.#server = createServer({
      maxHeaderSize: HEAD_BYTES_MAX,
      requireHostHeader: false,
      requestTimeout: 0,
    })
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.connect(request, socket as Socket, head)
    })
    this.#server.on('request', (request, response) => this.plain(request, response))
    this.#server.on('upgrade', (_request, socket) => endWith(socket, BAD_REQUEST))
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      const isLong = error.code === 'HPE_HEADER_OVERFLOW'
      endWith(socket, isLong ? HEAD_TOO_LARGE : BAD_REQUEST)
    })
  }

  /** Answers a CONNECT that any HTTP server has received. */
  connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    socket.on('error', () => socket.destroy())
    this.#answerConnect(request, socket, head).catch(() => socket.destroy())
  }

  /** Answers a request in absolute form that any HTTP server has received. */
  plain(request: IncomingMessage, response: ServerResponse): void {
    this.#answerPlain(request, response).catch(() => request.destroy())
  }

  /** Serves the connections of a listening socket. */
  serve(listener: Listener): void {
    listener.maxConnections = CONNECTIONS_MAX
    listener.on('connection', (socket: Socket) => {
      socket.setNoDelay(true)
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      this.#server.emit('connection', socket)
    })
  }

  /** Ends every connection. Safe to call twice. */
  close(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#inspector.close()
  }

  async #answerConnect(request: IncomingMessage, socket: Socket, head: Buffer): Promise<void> {
    const target = parseTarget(request.url ?? '')
    if (target === undefined) return endWith(socket, BAD_REQUEST)
    if (head.length > 0) socket.unshift(head)
    const signal = closeSignal(socket)
    if (isInference(target)) return await this.#tunnelInference(socket, target, signal)
    const { model } = this.#options
    if (model !== undefined && isSame(model, target)) {
      return establish(socket, await this.#dialModel(model, signal))
    }
    const asker = this.#askerOf(socket)
    const subject: Subject = { target, method: 'CONNECT' }
    const { decision, addresses } = await this.#judge(target, asker)
    this.#report(subject, decision, asker)
    if (decision.verdict === 'deny') {
      return endWith(socket, rawDenial(connectionDenial(subject, decision.reason)))
    }
    if (decision.inspect !== true) return establish(socket, await this.#dialNamed(target, addresses, signal))
    socket.write(ESTABLISHED)
    this.#inspector.accept(socket, {
      target,
      key: JSON.stringify([asker.names, target.host.toLowerCase(), target.port, addresses.toSorted()]),
      binary: () => asker.binary,
      judge: (asked) => asker.decide({ ...target, addresses, ...asked }),
      report: ({ method, path }, decision) => this.#report({ target, method, path }, decision, asker),
      dial: async () => socketOf(await this.#dialNamed(target, addresses, signal)),
    })
  }

  /** Tunnels inference.local before any rule is read: the gateway answers it, and its own proxy terminates the TLS. */
  async #tunnelInference(socket: Socket, target: Target, signal: AbortSignal): Promise<void> {
    const parent = this.#options.route.proxyFor(target)
    if (parent === undefined) return endWith(socket, BAD_GATEWAY)
    establish(socket, await dialThrough(parent, target, signal).catch(() => undefined))
  }

  /** Answers plain http. `https://` belongs in a CONNECT, and origin form is not for a proxy: both get a 400. */
  async #answerPlain(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = 'GET', url = '' } = request
    const [, authority = '', rest = ''] = /^http:\/\/([^/?#@]+)([^#]*)$/i.exec(url) ?? []
    const target = parseTarget(authority.replace(/^([^:]+|\[[^\]]*\])$/, '$1:80'))
    if (target === undefined) return endWith(request.socket, BAD_REQUEST)
    const path = rest.startsWith('/') ? rest : `/${rest}`
    const signal = closeSignal(request.socket)
    const { model } = this.#options
    const isModel = model !== undefined && isSame(model, target)
    const asker: Asker | undefined = isModel ? undefined : this.#askerOf(request.socket)
    let addresses: readonly string[] = []
    let body: RequestBody | undefined
    if (asker !== undefined) {
      const asked = { transport: 'plain-http', method, path, hostHeader: hostOf(request) } as const
      let judged = await this.#judge(target, asker, { ...asked, isBodyUnread: true })
      const { reading } = judged.decision
      if (reading !== undefined) {
        body = await readRequestBody(request, reading)
        judged = await this.#judge(target, asker, { ...asked, ...body.asked })
      }
      const subject: Subject = { target, method, path }
      this.#report(subject, judged.decision, asker)
      if (judged.decision.verdict === 'deny') {
        return endWith(request.socket, rawDenial(connectionDenial(subject, judged.decision.reason)))
      }
      addresses = judged.addresses
    }
    const goal = isModel ? (model.dialled ?? model) : target
    const agent = new TunnelAgent(async () =>
      socketOf(await (isModel ? this.#dialModel(model, signal) : this.#dialNamed(target, addresses, signal))),
    )
    response.once('close', () => agent.destroy())
    const host = goal.port === 80 ? goal.host : `${goal.host}:${goal.port}`
    await forward(request, response, { agent, path, host, body: body?.bytes })
  }

  /** Judges first without looking the name up: a query to a name server is a way out too. */
  async #judge(
    target: Target,
    asker: Asker,
    request: Partial<EgressRequest> = {},
  ): Promise<{ decision: Decision; addresses: readonly string[] }> {
    const first = asker.decide({ ...request, ...target })
    if (first.verdict === 'deny') return { decision: first, addresses: [] }
    const addresses = await this.#lookUp(target.host)
    const hasParent = this.#options.route.proxyFor(target) !== undefined
    // Behind another proxy a machine may have no name service; then that proxy looks the name up and judges it.
    if (addresses.length === 0 && hasParent) return { decision: first, addresses }
    return { decision: asker.decide({ ...request, ...target, addresses }), addresses }
  }

  async #lookUp(host: string): Promise<readonly string[]> {
    const { lookup } = this.#options
    const name = host.replace(/^\[(.*)\]$/, '$1')
    try {
      if (lookup !== undefined) return await lookup(name)
      return (await lookupName(name, { all: true })).map(({ address }) => address)
    } catch {
      // The name is judged as one without an address.
      return []
    }
  }

  async #dialModel({ dialled, ...target }: ModelEndpoint, signal: AbortSignal): Promise<Dial> {
    if (dialled === undefined) return await this.#dialNamed(target, [], signal)
    return { socket: await dialAddress(dialled.host, dialled.port, signal) }
  }

  async #dialNamed(target: Target, addresses: readonly string[], signal: AbortSignal): Promise<Dial> {
    const parent = this.#options.route.proxyFor(target)
    if (parent !== undefined) return await dialThrough(parent, target, signal)
    const dial = this.#options.dial ?? dialAddress
    let failure: unknown
    for (const address of addresses.length > 0 ? addresses : [target.host]) {
      try {
        return { socket: await dial(address, target.port, signal) }
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  #askerOf(socket: Socket): Asker {
    const { policy, holdersOf } = this.#options
    const port = socket.remotePort
    let known: readonly Holder[] | undefined = holdersOf === undefined ? [ANYBODY] : undefined
    const holders = (): readonly Holder[] => {
      known ??= port === undefined ? [] : (holdersOf?.(port) ?? [])
      return known
    }
    return {
      get names() {
        return holders().map(({ root, binary }) => `${root} ${binary}`)
      },
      get root() {
        return holders()[0]?.root
      },
      get binary() {
        return holders()[0]?.binary
      },
      decide(request) {
        const verdicts = holders().map(({ binary, ancestors }) =>
          decideEgress(policy, { ...request, binary, ancestors }),
        )
        // A socket that several processes hold may do only what each of them may do.
        return verdicts.find(({ verdict }) => verdict === 'deny') ?? verdicts[0] ?? NOBODY
      },
    }
  }

  /** Reports a decision. The client is looked up for denials only. */
  #report(subject: Omit<Subject, 'binary'>, decision: Decision, asker: Asker): void {
    const isDenied = decision.verdict === 'deny'
    const reported = isDenied ? { ...subject, binary: asker.binary } : subject
    this.#options.onDecision(toEgressDecision(reported, decision), isDenied ? asker.root : undefined)
  }
}

/** Returns the open connection. @throws when the parent proxy has refused it. */
function socketOf(dialled: Dial): Socket {
  if (!('refusal' in dialled)) return dialled.socket
  dialled.socket.destroy()
  throw new Error('the proxy behind this one refused')
}

function establish(socket: Socket, dialled: Dial | undefined): void {
  if (dialled === undefined) {
    endWith(socket, BAD_GATEWAY)
    return
  }
  if ('refusal' in dialled) {
    // The parent's refusal is passed on; no byte of the client is sent in return.
    socket.write(dialled.refusal)
    dialled.socket.on('error', () => socket.destroy())
    dialled.socket.pipe(socket)
    socket.once('close', () => dialled.socket.destroy())
    return
  }
  socket.write(ESTABLISHED)
  join(socket, dialled.socket)
}

function isSame(left: Target, right: Target): boolean {
  return left.host.toLowerCase() === right.host.toLowerCase() && left.port === right.port
}

function closeSignal(socket: Socket): AbortSignal {
  const controller = new AbortController()
  socket.once('close', () => controller.abort(GONE))
  return controller.signal
}
