// Carrying what was allowed: bytes both ways, or one request on a connection of its own making, so that no byte the
// client framed reaches the other side.
import {
  Agent,
  type ClientRequestArgs,
  request as httpRequest,
  type IncomingMessage,
  type ServerResponse,
} from 'node:http'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'

/** Belong to one connection, not to the request. */
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
]

/** One side's end is passed on, its breaking destroys the other. */
export function join(client: Duplex, upstream: Duplex): void {
  client.on('error', () => upstream.destroy())
  upstream.on('error', () => client.destroy())
  client.once('close', () => upstream.destroy())
  upstream.once('close', () => client.destroy())
  client.pipe(upstream)
  upstream.pipe(client)
}

/** Opens its connection with `dial`, keeps it for the client's next request, and never has two. */
export class TunnelAgent extends Agent {
  readonly #dial: () => Promise<Duplex>

  constructor(dial: () => Promise<Duplex>) {
    super({ keepAlive: true, maxSockets: 1 })
    this.#dial = dial
  }

  override createConnection(
    _options: ClientRequestArgs,
    done?: (error: Error | null, socket: Duplex) => void,
  ): undefined {
    this.#dial().then(
      (socket) => done?.(null, socket),
      // The callback's type knows no failure without a socket.
      (error: Error) => (done as ((error: Error) => void) | undefined)?.(error),
    )
  }
}

export interface ForwardOptions {
  agent: TunnelAgent
  /** The request target as it goes out. */
  path: string
  host: string
}

/** Resolves when the answer is through; a failure is a 502, or a broken answer when it had begun. */
export async function forward(
  request: IncomingMessage,
  response: ServerResponse,
  { agent, path, host }: ForwardOptions,
): Promise<void> {
  const headers = Object.fromEntries(
    Object.entries(request.headersDistinct).filter(([name]) => !hopByHop(request).has(name)),
  )
  const isChunked = request.headers['transfer-encoding'] !== undefined
  const upstream = httpRequest({
    // Its type leaves out that an agent's options may be undefined.
    agent: agent as Agent,
    path,
    method: request.method ?? 'GET',
    setHost: false,
    headers: { ...headers, host, ...(isChunked ? { 'transfer-encoding': 'chunked' } : {}) },
  })
  response.once('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  try {
    const answered = new Promise<IncomingMessage>((resolve, reject) => {
      upstream.once('response', resolve)
      upstream.once('error', reject)
    })
    const sent = pipeline(request, upstream)
    // A server may answer before it has read everything, and then close.
    sent.catch(() => undefined)
    const answer = await answered
    const kept = Object.entries(answer.headersDistinct).filter(([name]) => !HOP_BY_HOP.includes(name))
    for (const [name, values] of kept) if (values !== undefined) response.setHeader(name, values)
    response.writeHead(answer.statusCode ?? 502)
    response.flushHeaders()
    await pipeline(answer, response)
  } catch {
    if (response.headersSent) response.destroy()
    else response.writeHead(502, { connection: 'close' }).end()
  }
}

/** The fixed ones, and those that the Connection header names. */
function hopByHop({ headers }: IncomingMessage): ReadonlySet<string> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return new Set([...HOP_BY_HOP, ...named, 'host'])
}
