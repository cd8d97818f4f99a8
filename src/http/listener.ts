import { lookup } from 'node:dns/promises'
import { once } from 'node:events'
import { lstat, unlink } from 'node:fs/promises'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import {
  type AddressInfo,
  connect,
  createServer as createNetServer,
  type Server as NetServer,
} from 'node:net'
import type { Duplex } from 'node:stream'
import { connectionDropped } from '../channels.ts'
import { hasErrno } from '../errno.ts'
import { RunnerError } from '../errors.ts'
import { answerClientErrors, refuse, refuseExpectations } from './doors/client-errors.ts'
import { corsHeaders } from './doors/cors-headers.ts'
import { LIVENESS_PATHS, liveness } from './doors/liveness.ts'
import { readWholeBody } from './doors/unread-body.ts'
import { isHandshake, readAgain } from './doors/upgrades.ts'

export interface ListenerOptions {
  host: string
  port: number
  /** The path of the unix socket that is served instead of host and port. */
  socket: string | undefined
  sessionId: string | undefined
  allowedOrigins: readonly string[]
  /** Upper bound of the number of headers of a probe that is answered here. */
  headersMax: number
  /** Upper bound of the request line and the headers together, in bytes. */
  headersBytesMax: number
  /** Time within which a head must be complete; later the connection is closed (slow loris). */
  headersTimeoutMs: number
  /** Time within which a whole request must arrive, including its body. The answer is not limited. */
  requestTimeoutMs: number
  /** How long an idle connection is kept open for its next request. */
  keepAliveTimeoutMs: number
  subscribersMax: number
  /** Upper bound of the connections beside those of the subscribers. Connections above it are closed at once. */
  otherConnectionsMax: number
}

/** Longest interval between two checks for time-outs. With Node's 30 s a slow loris would live four times as long. */
const TIMEOUT_CHECK_MS = 5000
/**
 * The kernel asks after a peer that is silent for so long. A peer that vanished without a word, as when its network
 * goes, would otherwise hold its connection for ever.
 */
const KEEP_ALIVE = { keepAlive: true, keepAliveInitialDelay: 60_000 }
/** How long a client may take to receive the last bytes when the runner stops. */
const DRAIN_MS = 1000

/** A request or handshake that waits for the app. */
interface Held {
  request: IncomingMessage
  socket: Duplex
  pass(app: Server): void
}

/**
 * The runner's HTTP server. It listens before the rest of the runner is loaded: probes of `/health` are answered here
 * meanwhile, and everything else is held. From `handOver` on the app gets it all. What is no request at all is refused
 * here, first and last.
 */
export class Listener {
  readonly #options: ListenerOptions
  readonly #server: Server
  /** Those of further addresses. Their connections are the one server's. */
  readonly #others: NetServer[] = []
  readonly #held: Held[] = []
  #app: Server | undefined
  #closed: Promise<void> | undefined

  private constructor(options: ListenerOptions) {
    this.#options = options
    const { allowedOrigins, headersTimeoutMs } = options
    this.#server = createServer({
      ...KEEP_ALIVE,
      maxHeaderSize: options.headersBytesMax,
      headersTimeout: headersTimeoutMs,
      requestTimeout: options.requestTimeoutMs,
      keepAliveTimeout: options.keepAliveTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, Math.ceil(headersTimeoutMs / 2)),
      // A missing Host is refused by `checkHostAndOrigin`, in the shape of every other error.
      requireHostHeader: false,
    })
    this.#limit(this.#server)
    answerClientErrors(this.#server, allowedOrigins)
    refuseExpectations(this.#server, allowedOrigins)
    this.#server.on('request', (request, response) => this.#onRequest(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#onUpgrade(request, socket, head))
  }

  /** Listens. @throws the system's error, such as EADDRINUSE. */
  static async open(options: ListenerOptions): Promise<Listener> {
    const listener = new Listener(options)
    const { host, port, socket } = options
    const server = listener.#server
    if (socket !== undefined) await removeAbandoned(socket)
    server.listen(
      socket === undefined ? { host, port } : { path: socket, readableAll: true, writableAll: true },
    )
    await once(server, 'listening')
    if (socket === undefined && host === 'localhost') await listener.#listenBeside(host)
    return listener
  }

  /** The address: an http URL, or `unix:` and the path of the socket. */
  get url(): string {
    const { host, socket } = this.#options
    if (socket !== undefined) return `unix:${socket}`
    return `http://${host.includes(':') ? `[${host}]` : host}:${this.#place()?.port}`
  }

  /** Passes what is held to `app`, in its order, and then all that comes. The app itself does not listen. */
  handOver(app: Server): void {
    this.#app = app
    // To a client that has left, nothing could be answered.
    for (const { socket, pass } of this.#held.splice(0)) if (!socket.destroyed) pass(app)
  }

  /**
   * Refuses what is held, lets open answers finish for a moment, then ends every connection. Safe to call twice.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  async #close(): Promise<void> {
    const { allowedOrigins } = this.#options
    const ended = new RunnerError('shutting_down', 'The runner ended before it was ready; its log says why.')
    for (const { request, socket } of this.#held.splice(0))
      refuse(socket, ended, corsHeaders(request.headers.origin, allowedOrigins))
    const late = setTimeout(() => this.#server.closeAllConnections(), DRAIN_MS)
    const closed = [this.#server, ...this.#others].map((server) => once(server, 'close'))
    for (const server of [this.#server, ...this.#others]) server.close()
    await Promise.all(closed)
    clearTimeout(late)
  }

  /** Listens at the other addresses of a name with several, as clients take either. One that is not free is left out. */
  async #listenBeside(host: string): Promise<void> {
    const { address: own, port } = this.#place() ?? {}
    for (const { address } of await lookup(host, { all: true })) {
      if (address === own) continue
      const options = { ...KEEP_ALIVE, allowHalfOpen: true, noDelay: true }
      const other = createNetServer(options, (socket) => this.#server.emit('connection', socket))
      this.#limit(other)
      other.listen({ host: address, port })
      await once(other, 'listening').then(
        () => this.#others.push(other),
        () => undefined,
      )
    }
  }

  #limit(server: NetServer): void {
    const max = this.#options.subscribersMax + this.#options.otherConnectionsMax
    server.maxConnections = max
    server.on('drop', () => connectionDropped.publish({ max }))
  }

  #place(): AddressInfo | undefined {
    const address = this.#server.address()
    return typeof address === 'object' && address !== null ? address : undefined
  }

  #onRequest(request: IncomingMessage, response: ServerResponse): void {
    const { socket } = request
    readWholeBody(request)
    if (this.#app !== undefined) this.#app.emit('request', request, response)
    else if (this.#isProbe(request)) this.#answerProbe(request, response)
    else {
      // What follows on the connection stays in the kernel, however long it is.
      socket.pause()
      // Node itself reads on when a request is complete, so that requests sent in one go would all be read.
      setImmediate(() => {
        if (this.#app === undefined) socket.pause()
      })
      const pass = (app: Server): void => {
        app.emit('request', request, response)
        socket.resume()
      }
      this.#held.push({ request, socket, pass })
    }
  }

  #onUpgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const pass = (app: Server): void => {
      if (!app.emit('upgrade', request, socket, head)) socket.destroy()
    }
    if (!isHandshake(request)) readAgain(this.#server, { request, socket, head })
    else if (this.#app !== undefined) pass(this.#app)
    else {
      // Node has removed its own listener, and the app has not added one yet.
      socket.on('error', () => socket.destroy())
      this.#held.push({ request, socket, pass })
    }
  }

  /** Whether the app would look at nothing but the path, and refuse nothing. */
  #isProbe({ method, url, headers, rawHeaders }: IncomingMessage): boolean {
    if (method !== 'GET' || !LIVENESS_PATHS.includes(url ?? '')) return false
    return headers.forwarded === undefined && rawHeaders.length / 2 <= this.#options.headersMax
  }

  #answerProbe({ headers }: IncomingMessage, response: ServerResponse): void {
    const { sessionId, allowedOrigins } = this.#options
    const body = JSON.stringify(liveness(sessionId))
    response.writeHead(200, {
      ...corsHeaders(headers.origin, allowedOrigins),
      'x-content-type-options': 'nosniff',
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(body),
    })
    response.end(body)
  }
}

/**
 * Removes a socket that nobody serves any more: a process that was killed leaves its own behind, and could not start
 * again. Anything else at that path stays, and the system then refuses to listen there.
 */
async function removeAbandoned(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined)
  if (found?.isSocket() !== true) return
  const socket = connect(path)
  const isAbandoned = await once(socket, 'connect').then(
    () => false,
    (error: unknown) => hasErrno(error, 'ECONNREFUSED'),
  )
  socket.destroy()
  if (isAbandoned) await unlink(path)
}
