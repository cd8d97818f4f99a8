import { once } from 'node:events'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo, Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { toMessage } from '../errors.ts'
import { PLACEHOLDER_KEY } from '../model-route/credentials.ts'
import { endWith, jsonAnswer } from '../tunnel/connect.ts'
import type { AuditLine } from './audit.ts'
import { type Door, type Exchange, type RequestLine, readLine } from './door.ts'
import type { EgressDoor } from './egress-door.ts'
import { Refusal } from './refusal.ts'
import type { Session } from './session.ts'
import { isTokenOf, TokenGuard, tokensIn } from './token.ts'

const HEAD_BYTES_MAX = 16 * 1024
/** Most unread bytes of one answer before the upstream is paused: several reads of a socket. */
const BUFFERED_BYTES_MAX = 256 * 1024
const CONNECTIONS_MAX = 256
/** Longer than any client keeps an unused connection. */
const KEEP_ALIVE_MS = 120_000

const NO_EGRESS =
  'This session has no way to other hosts here: in public mode they are reached directly, else the broker needs a policy.'
const SHUT = 'Too many wrong tokens: this session takes none for a minute.'
const NO_SESSION = 'This is no session of this broker: its token is wrong, or it has ended.'

export interface SessionServerOptions {
  session: Session
  /** The doors. The first that accepts a path answers. */
  doors: readonly Door[]
  audit?: ((line: AuditLine) => void) | undefined
  /** The way to every other host; undefined when there is none. */
  egress?: EgressDoor | undefined
}

/** The server of one session. It refuses every request without the session's proof. */
export class SessionServer {
  readonly #options: SessionServerOptions
  readonly #server: Server
  readonly #sockets = new Set<Socket>()
  readonly #ended = new AbortController()
  readonly #guard = new TokenGuard()
  /** By connection: the bytes of its earlier requests. */
  readonly #counted = new WeakMap<Socket, { in: number; out: number }>()

  constructor(options: SessionServerOptions) {
    this.#options = options
    this.#server = createServer(
      {
        ...{ maxHeaderSize: HEAD_BYTES_MAX, highWaterMark: BUFFERED_BYTES_MAX },
        ...{ requestTimeout: 0, keepAliveTimeout: KEEP_ALIVE_MS, noDelay: true },
      },
      (request, response) => {
        this.#answer(request, response).catch(() => response.destroy())
      },
    )
    this.#server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
      this.#connect(request, socket as Socket, head)
    })
    this.#server.maxConnections = CONNECTIONS_MAX
    this.#server.on('connection', (socket: Socket) => {
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
    })
  }

  /** Listens on loopback, by default on a free port. Returns the address. */
  async listenOnLoopback(port = 0): Promise<string> {
    this.#server.listen(port, '127.0.0.1')
    await once(this.#server, 'listening')
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
  }

  async listenOnSocket(path: string): Promise<void> {
    this.#server.listen({ path, readableAll: true, writableAll: true })
    await once(this.#server, 'listening')
  }

  /** Ends every request in progress. Safe to call twice. */
  async close(): Promise<void> {
    this.#ended.abort()
    this.#options.egress?.close()
    for (const socket of this.#sockets) socket.destroy()
    if (this.#server.listening) await new Promise((resolve) => this.#server.close(resolve))
  }

  #connect(request: IncomingMessage, socket: Socket, head: Buffer): void {
    const { egress } = this.#options
    try {
      this.#identify(request)
      if (egress === undefined) throw new Refusal(NO_EGRESS)
      egress.connect(request, socket, head)
    } catch (error) {
      const { status, message } = error instanceof Refusal ? error : new Refusal('The broker failed.', 500)
      this.#options.audit?.({ ...this.#lineOf(request, message), method: 'CONNECT', path: request.url ?? '' })
      endWith(socket, jsonAnswer(status, 'Refused', JSON.stringify({ error: message })))
    }
  }

  #lineOf({ method = '' }: IncomingMessage, reason: string): AuditLine {
    const { id } = this.#options.session
    return { session: id, door: 'egress', method, path: '', verdict: 'deny', reason }
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { session, audit, egress } = this.#options
    const began = performance.now()
    const { socket } = request
    const before = this.#counted.get(socket) ?? { in: 0, out: 0 }
    const asked: RequestLine = readLine(request) ?? { method: request.method ?? '', path: '', query: '' }
    const door = this.#options.doors.find((it) => it.takes(asked.path))
    const exchange: Exchange = {
      request,
      response,
      asked,
      session,
      signal: this.#signalOf(response),
      noted: {},
    }
    let reason: string | undefined
    try {
      this.#identify(request)
      if (egress !== undefined && isForElsewhere(request)) return egress.plain(request, response)
      if (asked.path === '') throw new Refusal('Only a path may be asked for here.', 400)
      if (door === undefined) throw new Refusal(`${asked.path} leads to no door.`, 404)
      await door.answer(exchange)
    } catch (error) {
      reason = error instanceof Refusal ? error.message : `the broker failed: ${toMessage(error)}`
      if (response.headersSent) response.destroy()
      else refuse(door, exchange, error instanceof Refusal ? error : new Refusal('The broker failed.', 500))
    }
    if (audit === undefined) return
    if (!response.writableFinished && !response.destroyed) await once(response, 'close')
    const { refusal, ...noted } = exchange.noted
    this.#counted.set(socket, { in: socket.bytesRead, out: socket.bytesWritten })
    audit({
      session: session.id,
      door: door?.name,
      method: asked.method,
      path: asked.path,
      ...noted,
      verdict: (reason ?? refusal) === undefined ? 'allow' : 'deny',
      reason: reason ?? refusal,
      status: response.headersSent ? response.statusCode : undefined,
      ms: Math.round(performance.now() - began),
      bytesIn: socket.bytesRead - before.in,
      bytesOut: socket.bytesWritten - before.out,
    })
  }

  /** Checks the shown token, which must be the session's even where none is needed. A placeholder is no token. */
  #identify(request: IncomingMessage): void {
    const { session } = this.#options
    if (this.#guard.isShut) throw new Refusal(SHUT, 429)
    const { 'proxy-authorization': ours } = request.headers
    // The other credentials of such a request are for its own host.
    const headers = isForElsewhere(request)
      ? ours === undefined
        ? {}
        : { 'proxy-authorization': ours }
      : request.headers
    const shown = tokensIn(headers).filter((token) => token !== PLACEHOLDER_KEY)
    if (shown.some((token) => isTokenOf(session.digest, token))) return
    if (shown.length === 0 && !session.needsToken) return
    if (shown.length > 0) this.#guard.noteWrong()
    throw new Refusal(NO_SESSION, 401)
  }

  #signalOf(response: ServerResponse): AbortSignal {
    const controller = new AbortController()
    const abort = (): void => controller.abort()
    const ended = this.#ended.signal
    ended.addEventListener('abort', abort, { once: true })
    response.once('close', () => {
      ended.removeEventListener('abort', abort)
      if (!response.writableFinished) abort()
    })
    return controller.signal
  }
}

/** Whether the request is in the absolute form, as a proxy is asked. */
function isForElsewhere({ url = '' }: IncomingMessage): boolean {
  return /^http:\/\//i.test(url)
}

/** Sends a refusal and closes the connection, because the rest of the body is not read. */
function refuse(door: Door | undefined, { request, response }: Exchange, refusal: Refusal): void {
  if (!request.complete) response.shouldKeepAlive = false
  if (door !== undefined) door.refuse(response, refusal)
  else response.writeHead(refusal.status, { 'content-type': 'text/plain' }).end(`${refusal.message}\n`)
}
