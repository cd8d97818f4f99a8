import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import type { ConnectionError } from 'fastify'
import { type ErrorCode, RunnerError } from '../../errors.ts'
import { leaveFor } from './cors.ts'
import { toErrorBody } from './error-answers.ts'

/** What Node's parser refuses before there is a request, by its code. */
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

/** Answers what is no HTTP request, or does not become one; a listed page may read that as any other answer. */
export function clientErrors(allowedOrigins: readonly string[]) {
  /** Of the last request on a connection, for one whose body does not come. */
  const origins = new WeakMap<Duplex, string>()
  return {
    onRequest({ headers, socket }: IncomingMessage): void {
      if (headers.origin !== undefined) origins.set(socket, headers.origin)
    },
    answer(error: ConnectionError, socket: Duplex): void {
      if (error.code === 'ECONNRESET') {
        socket.destroy()
        return
      }
      const { code, message } = REFUSALS[error.code] ?? {
        code: 'invalid_input',
        message: `This is no HTTP request that could be read (${error.code}).`,
      }
      const origin = originIn(error.rawPacket) ?? origins.get(socket)
      refuse(socket, new RunnerError(code, message), leaveFor(origin, allowedOrigins))
    },
  }
}

/** Of a head that was not read to its end. A listed origin is all that is made of it, whoever wrote it. */
function originIn(head: unknown): string | undefined {
  return Buffer.isBuffer(head) ? /\r\norigin:[ \t]*([^\s]+)/i.exec(head.toString('latin1'))?.[1] : undefined
}

/** Answers on a bare connection, in the shape of every other error, and hangs up. */
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

/** Node would answer an `Expect` other than 100-continue without a body. */
export function refuseExpectations(server: Server, allowedOrigins: readonly string[]): void {
  server.on('checkExpectation', ({ headers }: IncomingMessage, response: ServerResponse) => {
    const { status, body } = toErrorBody(
      new RunnerError('invalid_input', 'Expect may only say 100-continue; leave it out.'),
    )
    const leave = leaveFor(headers.origin, allowedOrigins)
    response.writeHead(status, { 'content-type': 'application/json', connection: 'close', ...leave })
    response.end(JSON.stringify(body))
  })
}
