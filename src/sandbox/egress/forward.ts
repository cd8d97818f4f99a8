// Forwards one allowed request on a connection of the proxy's own, so that no byte the client framed reaches the
// server.
import {
  Agent,
  type ClientRequest,
  type ClientRequestArgs,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Headers that belong to one connection, not to the request. */
const HOP_BY_HOP = [
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  // A compressed message could not be read here.
  'sec-websocket-extensions',
]

/** Agent that opens its connection with `dial`, keeps it for the client's next request, and never has two. */
export class TunnelAgent extends Agent {
  readonly #dial: () => Promise<Duplex>
  #ahead: Promise<Duplex | undefined> | undefined

  constructor(dial: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#dial = dial
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    this.#connect().then(
      (socket) => done?.(null, socket),
      // The callback's type knows no failure without a socket.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    )
  }

  /** Opens the connection of the next request ahead of it. A failure is that request's: it dials again. */
  dialAhead(): void {
    this.#ahead = this.#dial().then(
      (socket) => socket.on('error', () => socket.destroy()),
      () => undefined,
    )
  }

  override destroy(): void {
    super.destroy()
    void this.#ahead?.then((socket) => socket?.destroy())
  }

  async #connect(): Promise<Duplex> {
    const socket = await this.#ahead
    this.#ahead = undefined
    return socket?.readable === true && socket.writable ? socket : await this.#dial()
  }
}

export interface ForwardOptions {
  agent: TunnelAgent
  /** The request target as it is sent. */
  path: string
  host: string
  /** The whole body when it has been read already; otherwise the request's body is streamed. */
  body?: Buffer | undefined
}

/** Resolves when the answer is complete. A failure is answered with 502, or breaks an answer that has begun. */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { body, ...options }: ForwardOptions,
): Promise<void> {
  const upstream = openRequest(request, { ...options, framing: framingOf(request, body) })
  response.once('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  try {
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve)
      upstream.once('error', reject)
    })
    const sent = body === undefined ? pipeline(request, upstream) : undefined
    // A server may answer before it has read everything, and then close.
    sent?.catch(() => undefined)
    if (body !== undefined) upstream.end(body)
    await passAnswer(await answered, response)
  } catch {
    if (response.headersSent) response.destroy()
    else response.writeHead(502, { connection: 'close' }).end()
  }
}

/** Opens a request with the client's headers, except those of its connection; `framing` declares the body. */
export function openRequest(
  request: IncomingMessage,
  { agent, path, host, framing }: Omit<ForwardOptions, 'body'> & { framing: OutgoingHttpHeaders },
): ClientRequest {
  const left = hopByHop(request)
  const headers = Object.entries(request.headersDistinct).filter(([name]) => !left.has(name))
  return httpRequest({
    // The type of `agent` leaves out that its options may be undefined.
    agent: agent as Agent,
    path,
    method: request.method ?? 'GET',
    setHost: false,
    headers: { ...Object.fromEntries(headers), host, ...framing },
  })
}

/** Passes an answer on unchanged, each piece as it arrives. */
export async function passAnswer(answer: IncomingMessage, response: ServerResponse): Promise<void> {
  for (const [name, values] of answerHeaders(answer)) response.setHeader(name, values)
  response.writeHead(answer.statusCode ?? 502)
  response.flushHeaders()
  await pipeline(answer, response)
}

/** Returns the headers of an answer without those of its connection. */
export function answerHeaders({ headersDistinct }: IncomingMessage): [name: string, values: string[]][] {
  return Object.entries(headersDistinct).flatMap(([name, values]): [string, string[]][] =>
    values === undefined || HOP_BY_HOP.includes(name) ? [] : [[name, values]],
  )
}

function framingOf({ headers, method }: IncomingMessage, body: Buffer | undefined): OutgoingHttpHeaders {
  if (body !== undefined) {
    return body.length > 0 || method === 'POST' ? { 'content-length': body.length } : {}
  }
  if (headers['transfer-encoding'] !== undefined) return { 'transfer-encoding': 'chunked' }
  const length = headers['content-length']
  return length === undefined ? {} : { 'content-length': length }
}

/**
 * Returns the fixed hop-by-hop headers and those that the Connection header names. `framingOf` sets the length again: a
 * server would read a body without one as the next request.
 */
function hopByHop({ headers }: IncomingMessage): ReadonlySet<string> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return new Set([...HOP_BY_HOP, ...named, 'host', 'content-length'])
}
