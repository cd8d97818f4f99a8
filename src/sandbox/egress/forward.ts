// Forwards one allowed request on a connection of the proxy's own, so that no byte the client framed reaches the
// server.
import {
  type Agent,
  type ClientRequest,
  request as httpRequest,
  type IncomingMessage,
  type OutgoingHttpHeaders,
  type ServerResponse,
} from 'node:http'
import { pipeline } from 'node:stream/promises'
import { HOP_BY_HOP } from '../../tunnel/hop-by-hop.ts'
import type { TunnelAgent } from './tunnel-agent.ts'

/** Headers that are not passed on. A compressed message of a WebSocket could not be read here. */
const DROPPED = [...HOP_BY_HOP, 'sec-websocket-extensions']

const REPEATABLE: ReadonlySet<string> = new Set(['GET', 'HEAD', 'OPTIONS'])
/** Schemes that sign in a connection, not a request (RFC 4559). */
const PERSONAL = /^(?:negotiate|ntlm)\b/i

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
  options: ForwardOptions,
): Promise<void> {
  try {
    await passAnswer(await answerOf(request, response, options), response)
  } catch {
    if (response.headersSent) response.destroy()
    else response.writeHead(502, { connection: 'close' }).end()
  }
}

async function answerOf(
  request: IncomingMessage,
  response: ServerResponse,
  options: ForwardOptions,
): Promise<IncomingMessage> {
  const { body, ...place } = options
  const framing = framingOf(request, body)
  const upstream = openRequest(request, { ...place, framing })
  response.once('close', () => {
    if (!response.writableFinished) upstream.destroy()
  })
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    upstream.once('response', resolve)
    upstream.once('error', reject)
  })
  if (body !== undefined || isEmpty(framing)) upstream.end(body)
  // A server may answer before it has read everything, and then close.
  else pipeline(request, upstream).catch(() => undefined)
  try {
    return await answered
  } catch (error) {
    // The server may have closed a kept connection before it saw the request. The next connection is a new one.
    const mayGoAgain = upstream.reusedSocket && isRepeatable(request, framing) && !response.destroyed
    if (!mayGoAgain) throw error
    return await answerOf(request, response, options)
  }
}

/** Decides whether a request may be sent twice (RFC 9110, 9.2.2) and has no body that is gone by then. */
function isRepeatable({ method = '' }: IncomingMessage, framing: OutgoingHttpHeaders): boolean {
  return REPEATABLE.has(method) && isEmpty(framing)
}

function isEmpty(framing: OutgoingHttpHeaders): boolean {
  return Object.keys(framing).length === 0
}

/** Opens a request with the client's headers, except those of its connection; `framing` declares the body. */
export function openRequest(
  request: IncomingMessage,
  { agent, path, host, framing }: Omit<ForwardOptions, 'body'> & { framing: OutgoingHttpHeaders },
): ClientRequest {
  // `framing` sets the length again: a server would read a body without one as the next request.
  const left = new Set([...hopByHop(request), 'host', 'content-length'])
  agent.begin({
    isRepeatable: isRepeatable(request, framing),
    isPersonal: PERSONAL.test(request.headers.authorization ?? ''),
  })
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
export function answerHeaders(answer: IncomingMessage): [name: string, values: string[]][] {
  const left = hopByHop(answer)
  return Object.entries(answer.headersDistinct).flatMap(([name, values]): [string, string[]][] =>
    values === undefined || left.has(name) ? [] : [[name, values]],
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

/** Returns the fixed hop-by-hop headers and those that the message's Connection header names (RFC 9110, 7.6.1). */
function hopByHop({ headers }: IncomingMessage): ReadonlySet<string> {
  const named = (headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase())
  return new Set([...DROPPED, ...named])
}
