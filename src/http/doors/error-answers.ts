import type { FastifyBaseLogger, FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { ERRORS, type ErrorCode, RunnerError } from '../../errors.ts'
import type { Redactor } from '../../redaction/redactor.ts'

/** Fastify's own refusals, by HTTP status. Its message stays where none is given. */
const BY_STATUS: Record<number, { code: ErrorCode; message?: string }> = {
  400: { code: 'invalid_input' },
  404: { code: 'not_found' },
  405: { code: 'not_found' },
  406: { code: 'not_acceptable' },
  413: {
    code: 'too_large',
    message:
      'The body is too large; send less, or raise REQUEST_BODY_BYTES_MAX (of POST /content/write UPLOAD_BODY_BYTES_MAX).',
  },
  414: { code: 'url_too_long' },
  415: {
    code: 'unsupported_media_type',
    message: 'The body must be JSON; send it with content-type: application/json.',
  },
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

/** Statuses of failures of the runner itself, of its store and of its disk. Only these are logged with their stack. */
const FAULTS: ReadonlySet<number> = new Set([500, 507])

/** Logs why a request or a frame of a socket got no answer but an error. */
export function logFailure(
  logger: FastifyBaseLogger,
  error: unknown,
  { error: { code, message: reason } }: ErrorBody,
  what: 'request' | 'socket command',
): void {
  if (FAULTS.has(ERRORS[code].status)) {
    logger.error({ err: error }, `${what} failed`)
    return
  }
  // A flood of requests must not fill the log as well. The metrics count it.
  const level = code === 'rate_limited' ? 'debug' : 'info'
  logger[level]({ code, reason }, `${what} refused`)
}

export type ErrorHandler = (
  error: FastifyError,
  request: FastifyRequest,
  reply: FastifyReply,
) => Promise<void>

export function createErrorHandler(redactor: Redactor): ErrorHandler {
  return async (error, request, reply) => {
    const { status, body } = toErrorBody(error, redactor)
    if (reply.raw.destroyed && isBrokenOff(error)) request.log.info('client left')
    else logFailure(request.log, error, body, 'request')
    await reply.status(status).type('application/json').send(body)
  }
}

/** Whether work failed only because a signal ended it, or because its stream was closed. */
function isBrokenOff({ name, code }: FastifyError): boolean {
  return name === 'AbortError' || code === 'ERR_STREAM_PREMATURE_CLOSE'
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
  const refusal = typeof status === 'number' ? BY_STATUS[status] : undefined
  if (refusal === undefined || !(error instanceof Error)) {
    return new RunnerError('internal', 'The runner failed on this request; its log says why.', {
      cause: error,
    })
  }
  return new RunnerError(refusal.code, refusal.message ?? error.message, { cause: error })
}
