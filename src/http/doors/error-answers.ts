import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { type ErrorCode, RunnerError } from '../../errors.ts'
import type { Redactor } from '../../redaction/redactor.ts'

/** The error codes of Fastify's own refusals, by HTTP status. */
const BY_STATUS: Record<number, ErrorCode> = {
  400: 'invalid_input',
  404: 'not_found',
  405: 'not_found',
  406: 'not_acceptable',
  413: 'too_large',
  414: 'url_too_long',
  415: 'unsupported_media_type',
}

export interface ErrorBody {
  error: { code: ErrorCode; message: string; details?: unknown }
}

/**
 * Returns the status and body that a client gets for any failure before a stream starts. A failure of an unknown kind
 * becomes `internal`, without its message.
 */
export function toErrorBody(error: unknown, redactor?: Redactor): { status: number; body: ErrorBody } {
  const known = error instanceof RunnerError ? error : fromFastify(error)
  const { code, message, details, status } = known
  const body = { error: { code, message, ...(details === undefined ? {} : { details }) } }
  return { status, body: redactor === undefined ? body : redactor.redactValue(body) }
}

export type ErrorHandler = (
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>

export function createErrorHandler(redactor: Redactor): ErrorHandler {
  return async (error, request, reply) => {
    const { status, body } = toErrorBody(error, redactor)
    if (status >= 500) request.log.error({ err: error }, 'request failed')
    else {
      // A flood of requests must not fill the log as well. The metrics count it.
      const level = body.error.code === 'rate_limited' ? 'debug' : 'info'
      request.log[level]({ code: body.error.code, reason: body.error.message }, 'request refused')
    }
    await reply.status(status).type('application/json').send(body)
  }
}

export function createNotFoundHandler(redactor: Redactor) {
  return async (request: FastifyRequest, reply: FastifyReply): Promise<void> => {
    const path = request.url.split('?')[0] ?? ''
    const message = `There is no ${request.method} ${path} here; GET /openapi.json lists what there is.`
    const { status, body } = toErrorBody(new RunnerError('not_found', message), redactor)
    await reply.status(status).type('application/json').send(body)
  }
}

function fromFastify(error: unknown): RunnerError {
  const status = error instanceof Error && 'statusCode' in error ? error.statusCode : undefined
  const code = typeof status === 'number' ? BY_STATUS[status] : undefined
  if (code === undefined || !(error instanceof Error)) {
    return new RunnerError('internal', 'The runner failed on this request; its log says why.', {
      cause: error,
    })
  }
  return new RunnerError(code, error.message, { cause: error })
}
