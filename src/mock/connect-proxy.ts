// Imitates the CONNECT proxy of the sandbox's edge (openshell.md 1.5, 1.7, 4.1).
import { once } from 'node:events'
import {
  createServer,
  request as httpRequest,
  type IncomingMessage,
  type Server,
  type ServerResponse,
} from 'node:http'
import { connect, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import {
  BAD_GATEWAY,
  ESTABLISHED,
  endWith,
  HEAD_BYTES_MAX,
  HEAD_TOO_LARGE,
  join,
  jsonAnswer,
  parseTarget,
  type Target,
} from '../tunnel/connect.ts'
import { INFERENCE_HOST, INFERENCE_PORT } from './inference-edge.ts'
import type { RequestLog } from './request-log.ts'
import type { ConnectFault } from './script.ts'

/** The real proxy's 400, which has no length. */
const BAD_REQUEST = 'HTTP/1.1 400 Bad Request\r\n\r\n'
/** Longest wait for an allowed target to accept, in milliseconds. */
const TUNNEL_CONNECT_MS_MAX = 30_000

/** A policy's decision on a target; the reason is sent to the client. */
export interface ConnectDecision {
  allow: boolean
  reason: string
}

export interface ConnectProxyOptions {
  decide: (target: Target) => ConnectDecision
  /** Takes a socket on which TLS to inference.local begins. Without `trusted`, the leaf is another authority's. */
  acceptInference: (socket: Socket, options: { trusted: boolean }) => void
  nextConnectFault: () => ConnectFault['fault'] | undefined
  /** Answers a request in origin form, which takes the direct route. */
  answerDirect: (request: IncomingMessage, response: ServerResponse) => Promise<void>
  log: RequestLog
}

export function createConnectProxy(options: ConnectProxyOptions): Server {
  const server = createServer({ maxHeaderSize: HEAD_BYTES_MAX, requireHostHeader: false, requestTimeout: 0 })
  server.on('connect', (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    // A client's reset must not become an uncaught error; the close that follows ends the tunnel.
    socket.on('error', () => socket.destroy())
    answerConnect(request, socket as Socket, head, options).catch(() => socket.destroy())
  })
  server.on('request', (request, response) => {
    const answer = /^[a-z][a-z0-9+.-]*:/i.test(request.url ?? '') ? answerAbsolute : options.answerDirect
    answer(request, response, options).catch(() => request.destroy())
  })
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code?.startsWith('HPE_') !== true) return void socket.destroy()
    endWith(socket, error.code === 'HPE_HEADER_OVERFLOW' ? HEAD_TOO_LARGE : BAD_REQUEST)
  })
  return server
}

async function answerConnect(
  request: IncomingMessage,
  socket: Socket,
  head: Buffer,
  options: ConnectProxyOptions,
): Promise<void> {
  const target = parseTarget((request.url ?? '').toLowerCase())
  const settle = record(request, options.log)
  const end = (status: number, text: string): void => {
    endWith(socket, text)
    settle({ status, bytes: 0, end: 'complete' })
  }
  if (target === undefined) return end(400, BAD_REQUEST)
  if (head.length > 0) socket.unshift(head)
  if (target.host === INFERENCE_HOST && target.port === INFERENCE_PORT) {
    const fault = options.nextConnectFault()
    if (fault === 'bad-gateway') return end(502, BAD_GATEWAY)
    if (fault === 'refuse')
      return end(403, toDenial({ target, method: 'CONNECT', reason: 'endpoint is not in any policy' }))
    await establish(socket)
    settle({ status: 200, bytes: 0, end: 'complete' })
    if (fault === 'reset') return void socket.resetAndDestroy()
    if (fault !== 'silent') options.acceptInference(socket, { trusted: fault !== 'untrusted' })
    return
  }
  const decision = options.decide(target)
  if (!decision.allow) return end(403, toDenial({ target, method: 'CONNECT', reason: decision.reason }))
  const upstream = connect(target.port, target.host)
  socket.once('close', () => upstream.destroySoon())
  try {
    await once(upstream, 'connect', { signal: AbortSignal.timeout(TUNNEL_CONNECT_MS_MAX) })
  } catch {
    upstream.destroy()
    return end(502, BAD_GATEWAY)
  }
  await establish(socket)
  settle({ status: 200, bytes: 0, end: 'complete' })
  join(socket, upstream)
}

/** Answers a plain-HTTP proxy request by the same policy; `https://` belongs in a CONNECT and gets a 400. */
async function answerAbsolute(
  request: IncomingMessage,
  response: ServerResponse,
  options: ConnectProxyOptions,
): Promise<void> {
  const settle = record(request, options.log)
  const url = URL.canParse(request.url ?? '') ? new URL(request.url ?? '') : undefined
  if (url?.protocol !== 'http:') {
    endWith(request.socket, BAD_REQUEST)
    return settle({ status: 400, bytes: 0, end: 'complete' })
  }
  const target = { host: url.hostname.toLowerCase(), port: Number(url.port || 80) }
  const decision = options.decide(target)
  if (!decision.allow) {
    endWith(
      request.socket,
      toDenial({ target, method: request.method ?? '', path: url.pathname + url.search }),
    )
    return settle({ status: 403, bytes: 0, end: 'complete' })
  }
  const { 'proxy-connection': _hop, 'proxy-authorization': _key, ...headers } = request.headers
  const upstream = httpRequest(url, { method: request.method ?? 'GET', headers, agent: false })
  response.once('close', () => upstream.destroy())
  try {
    const [answered] = await Promise.all([once(upstream, 'response'), pipeline(request, upstream)])
    const answer = answered[0] as IncomingMessage
    response.writeHead(answer.statusCode ?? 502, answer.headers)
    await pipeline(answer, response)
    settle({ status: answer.statusCode ?? 502, bytes: 0, end: 'complete' })
  } catch {
    if (!response.headersSent) response.writeHead(502).end()
    settle({ status: 502, bytes: 0, end: 'broken' })
  }
}

function record(request: IncomingMessage, log: RequestLog): ReturnType<RequestLog['add']> {
  const { method = '', url = '', headers } = request
  const settle = log.add({ route: 'proxy', method, path: url, headers, body: undefined, bytes: 0 })
  // Whatever goes wrong later, the end of the connection ends the answer.
  request.socket.once('close', () => settle({ status: 0, bytes: 0, end: 'broken' }))
  return settle
}

async function establish(socket: Socket): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    socket.write(ESTABLISHED, (error) => (error ? reject(error) : resolve()))
  })
}

/** Returns the proxy's 403 (net/proxy.rs): with the reason for a CONNECT, without it for a plain request. */
function toDenial(options: { target: Target; method: string; path?: string; reason?: string }): string {
  const { target, method, path = '', reason } = options
  const detail = `${method} ${target.host}:${target.port}${path} not permitted by policy`
  const body = JSON.stringify({ error: 'policy_denied', detail, ...(reason ? { reason } : {}) })
  return jsonAnswer(403, 'Forbidden', body)
}
