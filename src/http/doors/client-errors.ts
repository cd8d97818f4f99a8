import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { type ErrorCode, RunnerError } from '../../errors.ts'
import { corsHeaders } from './cors-headers.ts'
import { toErrorBody } from './error-answers.ts'

/** The answers to what Node's parser refuses before there is a request, by Node's error code. */
const REFUSALS: Record<string, { code: ErrorCode; message: string }> = {
  HPE_HEADER_OVERFLOW: {
    code: 'headers_too_large',
    message: 'The request line and headers together are longer than HEADERS_BYTES_MAX; send less.',
  },
  ERR_HTTP_REQUEST_TIMEOUT: {
    code: 'request_timeout',
    message: 'The request did not arrive in time; send it in one go.',
  },
}

/**
 * Answers bytes that are not an HTTP request, and requests that stay incomplete. Pages of the allowed origins can read
 * these answers as any other.
 */
export function answerClientErrors(server: Server, allowedOrigins: readonly string[]): void {
  /** The origin of the last request on each connection, for a request whose body does not arrive. */
  const origins = new WeakMap<Duplex, string>()
  server.on('request', ({ headers, socket }: IncomingMessage) => {
    if (headers.origin !== undefined) origins.set(socket, headers.origin)
  })
  server.on('clientError', ({ code: reason = '', rawPacket }: ClientError, socket: Duplex) => {
    if (reason === 'ECONNRESET') {
      socket.destroy()
      return
    }
    const { code, message } = REFUSALS[reason] ?? {
      code: 'invalid_input',
      message: `This is no HTTP request that could be read (${reason}).`,
    }
    const origin = originIn(rawPacket) ?? origins.get(socket)
    refuse(socket, new RunnerError(code, message), corsHeaders(origin, allowedOrigins))
  })
}

interface ClientError extends Error {
  code?: string
  rawPacket?: unknown
}

/** Returns the origin in an incomplete head. Its only use is the comparison with the allowed origins. */
function originIn(head: unknown): string | undefined {
  return Buffer.isBuffer(head) ? /\r\norigin:[ \t]*([^\s]+)/i.exec(head.toString('latin1'))?.[1] : undefined
}

/** Answers on a bare connection, in the shape of every other error, and closes the connection. */
export function refuse(socket: Duplex, error: RunnerError, headers: Record<string, string> = {}): void {
  if (!socket.writable) {
    socket.destroy()
    return
  }
  const { status, body } = toErrorBody(error)
  const text = JSON.stringify(body)
  const head = [
    `HTTP/1.1 ${status} ${error.code}`,
    'content-type: application/json',
    `content-length: ${Buffer.byteLength(text)}`,
    'connection: close',
    ...Object.entries(headers).map(([name, value]) => `${name}: ${value}`),
  ]
  socket.end(`${head.join('\r\n')}\r\n\r\n${text}`, () => socket.destroy())
}

/** Refuses an `Expect` other than 100-continue with an error body. Node's own answer would have none. */
export function refuseExpectations(server: Server, allowedOrigins: readonly string[]): void {
  server.on('checkExpectation', ({ headers }: IncomingMessage, response: ServerResponse) => {
    const { status, body } = toErrorBody(
      new RunnerError('invalid_input', 'Expect may only say 100-continue; leave it out.'),
    )
    const cors = corsHeaders(headers.origin, allowedOrigins)
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...cors })
    response.end(JSON.stringify(body))
  })
}
