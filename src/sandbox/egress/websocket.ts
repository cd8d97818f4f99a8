// Carries a WebSocket through an inspected connection. The handshake is the client's without its extensions, each
// message of the client is read whole and judged, and the server's bytes pass unchanged.
import { createHash } from 'node:crypto'
import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { type Duplex, Writable } from 'node:stream'
import { Receiver, Sender } from 'ws'
import { answerHeaders, type ForwardOptions, openRequest, passAnswer } from './forward.ts'

// The types of ws leave these two classes out.
declare module 'ws' {
  class Receiver extends Writable {
    constructor(options: {
      isServer: boolean
      maxPayload: number
      maxFragments: number
      maxBufferedChunks: number
    })
  }
  class Sender {
    constructor(socket: Duplex)
    send(data: Buffer, options: { binary: boolean; compress: boolean; fin: boolean; mask: boolean }): void
    ping(data: Buffer, mask: boolean): void
    pong(data: Buffer, mask: boolean): void
    close(code: number | undefined, reason: Buffer | string, mask: boolean): void
  }
}

export interface WebSocketOptions extends Pick<ForwardOptions, 'agent' | 'path' | 'host'> {
  /** Returns why a message may not pass; undefined when it may. */
  refusalOf(message: Buffer, isBinary: boolean): string | undefined
  /** Called when the client's bytes cannot be read as a message. */
  onUnreadable(reason: string): void
}

/** The arguments of the HTTP server's upgrade event. */
export interface UpgradeRequest {
  request: IncomingMessage
  socket: Duplex
  /** Bytes that arrived after the request. */
  head: Buffer
}

/** OpenShell's limits of one message, in bytes and in frames (net/l7/websocket.rs). */
const MESSAGE_BYTES_MAX = 4 * 1024 * 1024
const FRAGMENTS_MAX = 4096
/** Upper bound of the reads that one frame may arrive in; each read costs more than its bytes. */
const PIECES_MAX = 65_536
const ACCEPT_GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'
const CLOSE = { protocol: 1002, noCode: 1005, utf8: 1007, policy: 1008, tooBig: 1009 } as const
const CLOSE_REASON_BYTES_MAX = 123
const BAD_GATEWAY = 'HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\nConnection: close\r\n\r\n'

/** Returns why a request is not a WebSocket handshake (RFC 6455, 4.2.1); undefined when it is one. */
export function handshakeProblem({ method, headers, headersDistinct }: IncomingMessage): string | undefined {
  if (headers.upgrade?.trim().toLowerCase() !== 'websocket')
    return 'only an upgrade to a WebSocket is carried'
  if (method !== 'GET') return 'a WebSocket begins with a GET'
  if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
    return 'a WebSocket begins with a request without a body'
  }
  const keys = headersDistinct['sec-websocket-key'] ?? []
  if (keys.length !== 1 || !/^[A-Za-z0-9+/]{22}==$/.test(keys[0] ?? ''))
    return 'Sec-WebSocket-Key is not one key'
  const versions = headersDistinct['sec-websocket-version'] ?? []
  return versions.length === 1 && versions[0] === '13' ? undefined : 'Sec-WebSocket-Version is not 13'
}

/** Resolves when both sides are joined, or the server's refusal has been passed on. A failure is answered with 502. */
export async function carryWebSocket(upgrade: UpgradeRequest, options: WebSocketOptions): Promise<void> {
  const { request, socket: client, head } = upgrade
  const upstream = openRequest(request, {
    ...options,
    framing: { connection: 'Upgrade', upgrade: 'websocket' },
  })
  client.once('close', () => upstream.destroy())
  try {
    const answered = new Promise<{ answer: IncomingMessage; server?: Duplex; first?: Buffer }>(
      (resolve, reject) => {
        upstream.once('upgrade', (answer, server, first) => resolve({ answer, server, first }))
        upstream.once('response', (answer) => resolve({ answer }))
        upstream.once('error', reject)
      },
    )
    upstream.end()
    const { answer, server, first } = await answered
    if (server === undefined || first === undefined) return await passRefusal(upgrade, answer)
    if (!isAgreed(request, answer)) {
      server.destroy()
      throw new Error('the server agreed to another handshake')
    }
    client.write(switchingHead(answer))
    if (first.length > 0) server.unshift(first)
    if (head.length > 0) client.unshift(head)
    new MessageRelay(client, server, options).start()
  } catch {
    endWith(client, BAD_GATEWAY)
  }
}

/** Passes on the ordinary answer of a server that refused the upgrade. */
async function passRefusal({ request, socket }: UpgradeRequest, answer: IncomingMessage): Promise<void> {
  const response = new ServerResponse(request)
  response.shouldKeepAlive = false
  // The HTTP server has handed the socket over; it is the one that the request came on.
  response.assignSocket(socket as Socket)
  response.once('finish', () => endWith(socket, ''))
  await passAnswer(answer, response)
}

/** Decides whether the server agreed to the client's handshake. No extension was offered, so none may be in use. */
function isAgreed(request: IncomingMessage, answer: IncomingMessage): boolean {
  const one = (name: string): string | undefined => {
    const [value, ...others] = answer.headersDistinct[name] ?? []
    return others.length === 0 ? value : '(several)'
  }
  const key = request.headers['sec-websocket-key'] ?? ''
  const accept = createHash('sha1').update(`${key}${ACCEPT_GUID}`).digest('base64')
  const offered = (request.headers['sec-websocket-protocol'] ?? '').split(',').map((name) => name.trim())
  const chosen = one('sec-websocket-protocol')
  return (
    one('upgrade')?.toLowerCase() === 'websocket' &&
    one('sec-websocket-accept') === accept &&
    one('sec-websocket-extensions') === undefined &&
    (chosen === undefined || offered.includes(chosen))
  )
}

function switchingHead(answer: IncomingMessage): string {
  const kept = answerHeaders(answer).flatMap(([name, values]) => values.map((value) => `${name}: ${value}`))
  const fixed = ['HTTP/1.1 101 Switching Protocols', 'Upgrade: websocket', 'Connection: Upgrade']
  return `${[...fixed, ...kept].join('\r\n')}\r\n\r\n`
}

class MessageRelay {
  readonly #client: Duplex
  readonly #server: Duplex
  readonly #options: WebSocketOptions
  readonly #receiver = new Receiver({
    isServer: true,
    maxPayload: MESSAGE_BYTES_MAX,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: PIECES_MAX,
  })
  readonly #toServer: Sender
  /** Whether the client's messages no longer pass. */
  #isOver = false

  constructor(client: Duplex, server: Duplex, options: WebSocketOptions) {
    this.#client = client
    this.#server = server
    this.#options = options
    this.#toServer = new Sender(server)
  }

  start(): void {
    const [client, server, receiver] = [this.#client, this.#server, this.#receiver]
    receiver.on('message', (message: Buffer, isBinary: boolean) => this.#pass(message, isBinary))
    receiver.on('ping', (data: Buffer) => this.#isOver || this.#toServer.ping(data, true))
    receiver.on('pong', (data: Buffer) => this.#isOver || this.#toServer.pong(data, true))
    receiver.on('conclude', (code: number, reason: Buffer) => this.#conclude(code, reason))
    receiver.on('error', (error: NodeJS.ErrnoException) => this.#refuseFrame(error))
    client.on('error', () => server.destroy())
    server.on('error', () => client.destroy())
    client.once('close', () => server.destroy())
    server.once('close', () => endWith(client, ''))
    server.pipe(client)
    client.pipe(this.#intake())
  }

  /** Returns a stream into the receiver that runs at the server's pace. */
  #intake(): Writable {
    return new Writable({
      write: (piece: Buffer, _encoding, done) => {
        if (!this.#isOver) this.#receiver.write(piece)
        if (this.#server.writableNeedDrain) this.#server.once('drain', done)
        else done()
      },
      final: (done) => {
        this.#server.end()
        done()
      },
    })
  }

  #pass(message: Buffer, isBinary: boolean): void {
    // One piece may hold several messages; those after a refused one are dropped.
    if (this.#isOver) return
    const refusal = this.#options.refusalOf(message, isBinary)
    if (refusal !== undefined) this.#end(CLOSE.policy, `policy_denied: ${refusal}`)
    else this.#toServer.send(message, { binary: isBinary, compress: false, fin: true, mask: true })
  }

  #conclude(code: number, reason: Buffer): void {
    if (this.#isOver) return
    this.#isOver = true
    this.#toServer.close(code === CLOSE.noCode ? undefined : code, reason, true)
  }

  #refuseFrame({ code }: NodeJS.ErrnoException): void {
    if (this.#isOver) return
    this.#options.onUnreadable('a frame is not as RFC 6455 has it, or its message too long')
    if (code === 'WS_ERR_INVALID_UTF8') this.#end(CLOSE.utf8, 'invalid UTF-8')
    else if (code?.startsWith('WS_ERR_UNSUPPORTED') === true) this.#end(CLOSE.tooBig, 'message too big')
    else this.#end(CLOSE.protocol, 'protocol error')
  }

  #end(code: number, reason: string): void {
    this.#isOver = true
    const text = Buffer.from(reason).subarray(0, CLOSE_REASON_BYTES_MAX)
    this.#server.unpipe(this.#client)
    this.#toServer.close(code, text, true)
    new Sender(this.#client).close(code, text, false)
    endWith(this.#server, '')
    endWith(this.#client, '')
  }
}

/** Ends a socket with `text`. Bytes written before are still sent. */
function endWith(socket: Duplex, text: string): void {
  if (socket.writableFinished) socket.destroy()
  else if (socket.writableEnded) socket.once('finish', () => socket.destroy())
  else socket.end(text, () => socket.destroy())
}
