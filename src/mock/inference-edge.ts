// Imitates the server behind `CONNECT inference.local:443` in an OpenShell sandbox (openshell.md 4.2 to 4.4).
import type { IncomingMessage, ServerResponse } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { Socket } from 'node:net'
import type { Leaf } from '../tunnel/authority.ts'
import { endWith } from '../tunnel/connect.ts'
import { HOP_BY_HOP } from '../tunnel/hop-by-hop.ts'
import { GATEWAY_ANSWERS, toReason } from './gateway-faults.ts'
import { type MessagesApi, type MockAnswer, type MockRefusal, readFacts } from './messages-api.ts'
import type { ForwardedRequest, RequestLog, RequestOutcome } from './request-log.ts'
import { parseBody, readBody, relay, type StreamLimits, watchClient } from './response-relay.ts'
import type { GatewayFault } from './script.ts'

export const INFERENCE_HOST = 'inference.local'
export const INFERENCE_PORT = 443
/** Upper bound of one request's head and body, in bytes. */
const REQUEST_BYTES_MAX = 10 * 1024 * 1024
export const STREAM_LIMITS: StreamLimits = { idleMs: 120_000, bytesMax: 32 * 1024 * 1024 }
/** Value of `anthropic-version` that Anthropic's route adds when the client sends none. */
const ANTHROPIC_VERSION = '2023-06-01'
const FORWARDED_HEADERS = [
  'content-type',
  'accept',
  'accept-encoding',
  'user-agent',
  'anthropic-version',
  'anthropic-beta',
]
/** Stands for the route's real key, which no client ever sees. */
const ROUTE_KEY = 'route-key'

/** Requests the gateway knows, and how it frames their answers; the rest is refused. */
const ROUTES = [
  { method: 'POST', path: /^\/v1\/messages$/, serves: 'messages', framing: 'chunked' },
  { method: 'GET', path: /^\/v1\/models(?:\/.*)?$/, serves: 'models', framing: 'buffered' },
  {
    method: 'POST',
    path: /^\/v1\/(?:chat\/completions|completions|responses)$/,
    serves: 'nothing',
    framing: 'chunked',
  },
  { method: 'POST', path: /^\/v1\/embeddings$/, serves: 'nothing', framing: 'buffered' },
  { method: 'POST', path: /^\/model\/[^/]+\/invoke$/, serves: 'nothing', framing: 'buffered' },
] as const
type Route = (typeof ROUTES)[number]

/** Headers of an answer that the edge sets itself. */
const OWN_HEADERS = [...HOP_BY_HOP, 'content-length']

export interface InferenceEdge {
  /** Takes over a socket on which the client is about to speak TLS. */
  accept(socket: Socket): void
}

export interface InferenceEdgeOptions {
  leaf: Leaf
  api: MessagesApi
  log: RequestLog
  limits: StreamLimits
}

export function createInferenceEdge(options: InferenceEdgeOptions): InferenceEdge {
  const server = createServer({
    cert: options.leaf.cert,
    key: options.leaf.key,
    ALPNProtocols: ['http/1.1'],
    maxHeaderSize: REQUEST_BYTES_MAX,
    requireHostHeader: false,
    // The gateway sets no time limits on its clients.
    requestTimeout: 0,
    headersTimeout: 0,
    keepAliveTimeout: 0,
  })
  const handle = (request: IncomingMessage, response: ServerResponse): void => {
    handleRequest(request, response, options).catch(() => request.destroy())
  }
  server.on('request', handle)
  // An Expect header is ignored: no 100 is sent, the request is served.
  server.on('checkContinue', handle)
  server.on('checkExpectation', handle)
  server.on('connect', (_request, socket) => endWith(socket, toRawAnswer('not-allowed')))
  refuseMalformed(server)
  return { accept: (socket) => void server.emit('connection', socket) }
}

/** Answers a request that cannot be parsed (both lengths, for instance) with 400, too large a head with 413. Closes. */
function refuseMalformed(server: Server): void {
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (!socket.writable || error.code?.startsWith('HPE_') !== true) return void socket.destroy()
    if (error.code === 'HPE_HEADER_OVERFLOW') return endWith(socket, toRawAnswer('too-large'))
    endWith(socket, 'HTTP/1.1 400 Bad Request\r\ncontent-length: 11\r\n\r\nBad Request')
  })
}

async function handleRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { api, log, limits }: InferenceEdgeOptions,
): Promise<void> {
  const controller = watchClient(response)
  response.sendDate = false
  const body = await readBody(request, REQUEST_BYTES_MAX - headBytes(request))
  if (body === 'left') return
  const entry = {
    route: 'inference',
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers,
  } as const
  if (body === 'too-large') {
    log.add({ ...entry, body: undefined, bytes: 0 })(refuse(response, 'too-large'))
    return
  }
  const parsed = parseBody(body)
  const path = toCanonicalPath(entry.path)
  const route = ROUTES.find(
    ({ method, path: known }) => method === entry.method.toUpperCase() && known.test(path),
  )
  if (route === undefined) {
    log.add({ ...entry, body: parsed, bytes: body.length })(refuse(response, 'not-allowed'))
    return
  }
  const served = route.serves !== 'nothing'
  const facts = route.serves === 'messages' ? readFacts(parsed, request.headers) : undefined
  const forwarded = served ? toForwarded(request, path, overwriteModel(parsed, api.model)) : undefined
  const settle = log.add({ ...entry, body: parsed, forwarded, facts, bytes: body.length })
  try {
    const answer = await answerRoute(route, { path, api, facts, signal: controller.signal })
    settle(await write(response, answer, { route, controller, limits }))
  } catch {
    settle({ status: 0, bytes: 0, end: controller.signal.aborted ? 'left' : 'broken' })
    response.destroy()
  }
}

async function answerRoute(
  route: Route,
  {
    path,
    api,
    facts,
    signal,
  }: { path: string; api: MessagesApi; facts: ReturnType<typeof readFacts>; signal: AbortSignal },
): Promise<MockAnswer | MockRefusal> {
  if (route.serves === 'models') return api.models(path)
  if (route.serves === 'messages') return await api.answer(facts, api.model, signal)
  return { fault: 'no-compatible-route', rule: route.serves }
}

async function write(
  response: ServerResponse,
  answer: MockAnswer | MockRefusal,
  { route, controller, limits }: { route: Route; controller: AbortController; limits: StreamLimits },
): Promise<RequestOutcome> {
  if ('fault' in answer) return { ...refuse(response, answer.fault), rule: answer.rule }
  const kept = Object.entries(answer.headers).filter(([name]) => !OWN_HEADERS.includes(name.toLowerCase()))
  const headers = Object.fromEntries(kept)
  response.removeHeader('connection')
  if (route.framing === 'buffered') {
    let text = ''
    for await (const piece of answer.pieces) text += piece
    const bytes = Buffer.byteLength(text)
    response
      .writeHead(answer.status, toReason(answer.status), { ...headers, 'content-length': bytes })
      .end(text)
    return { status: answer.status, bytes, end: 'complete' }
  }
  response.writeHead(answer.status, toReason(answer.status), headers)
  response.flushHeaders()
  return await relay(response, answer, { controller, limits })
}

/** Sends the gateway's own answer. Closes the connection where the gateway would, without a header that says so. */
function refuse(response: ServerResponse, fault: GatewayFault): RequestOutcome {
  const { status, text, json, close } = GATEWAY_ANSWERS[fault]
  response.shouldKeepAlive = !close
  response.removeHeader('connection')
  if (json) response.setHeader('content-type', 'application/json')
  response.writeHead(status, toReason(status), { 'content-length': Buffer.byteLength(text) }).end(text)
  return { status, bytes: Buffer.byteLength(text), end: 'complete' }
}

function toRawAnswer(fault: GatewayFault): string {
  const { status, text, json } = GATEWAY_ANSWERS[fault]
  const type = json ? 'content-type: application/json\r\n' : ''
  return `HTTP/1.1 ${status} ${toReason(status)}\r\n${type}content-length: ${Buffer.byteLength(text)}\r\n\r\n${text}`
}

function toForwarded(request: IncomingMessage, path: string, body: unknown): ForwardedRequest {
  const headers: Record<string, string> = { 'x-api-key': ROUTE_KEY, 'anthropic-version': ANTHROPIC_VERSION }
  for (const name of FORWARDED_HEADERS) {
    const value = request.headers[name]
    if (value !== undefined) headers[name] = String(value)
  }
  return { method: request.method ?? '', path, headers, body }
}

function overwriteModel(body: unknown, model: string): unknown {
  const isObject = typeof body === 'object' && body !== null && !Array.isArray(body)
  return isObject ? { ...body, model } : body
}

/** Drops the query and `;params`, percent-decodes, and resolves `//` and dot segments; a trailing slash stays. */
function toCanonicalPath(target: string): string {
  const path = target.split('?', 1)[0] ?? ''
  if (/%2f/i.test(path)) return path
  const segments: string[] = []
  try {
    for (const segment of decodeURIComponent(path).split('/')) {
      const name = segment.split(';', 1)[0] ?? ''
      if (name === '..' && segments.pop() === undefined) return path
      if (name !== '' && name !== '.' && name !== '..') segments.push(name)
    }
  } catch {
    // A malformed escape is no path the gateway knows.
    return path
  }
  return `/${segments.join('/')}${path.endsWith('/') && segments.length > 0 ? '/' : ''}`
}

function headBytes(request: IncomingMessage): number {
  const names = request.rawHeaders.reduce((sum, text) => sum + Buffer.byteLength(text, 'latin1'), 0)
  const separators = request.rawHeaders.length * 2
  return `${request.method} ${request.url} HTTP/1.1`.length + 4 + names + separators
}
