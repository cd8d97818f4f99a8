import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { isCode } from '../../errors.ts'
import type { ErrorHandler } from './error-answers.ts'

const Where = z.object({ url: z.string() })

/** Marks what a runner has sent on: it is sent on once, so that two that are wrong about each other make no circle. */
const MARK = 'x-agui-runner-forwarded'
/** Of the request, what concerns the one who answers. */
const REQUEST_HEADERS = ['accept', 'authorization', 'content-type', 'x-ambient-session-token']
const REPLY_HEADERS = ['content-type', 'cache-control', 'x-accel-buffering', 'retry-after']
const CONNECT_MS = 5000

/**
 * Sends on what concerns a thread that lives on another runner, when the request has come whole, and answers with that
 * one's answer. One that cannot be reached is no answer: then the client is told where the thread lives.
 */
export function forwardElsewhere(answer: ErrorHandler): ErrorHandler {
  return async (error, request, reply) => {
    const where = isCode(error, 'elsewhere') ? Where.safeParse(error.details) : undefined
    if (where?.success !== true || request.headers[MARK] !== undefined)
      return await answer(error, request, reply)
    const { url } = where.data
    try {
      await forward(url, request, reply)
    } catch (reason) {
      request.log.warn({ url, err: reason }, 'not forwarded')
      await answer(error, request, reply)
    }
  }
}

async function forward(url: string, request: FastifyRequest, reply: FastifyReply): Promise<void> {
  const { Agent, request: send } = await import('undici')
  const dispatcher = new Agent({
    connect: { timeout: CONNECT_MS },
    bodyTimeout: 0,
    headersTimeout: 0,
    pipelining: 0,
  })
  const method = z.enum(['POST', 'PUT', 'DELETE', 'GET']).parse(request.method)
  const { statusCode, headers, body } = await send(new URL(request.url, url), {
    method,
    dispatcher,
    headers: { ...picked(request.headers, REQUEST_HEADERS), [MARK]: '1' },
    body: request.body === undefined || request.body === null ? null : JSON.stringify(request.body),
  })
  request.log.info({ url, status: statusCode }, 'forwarded')
  const stream: Readable = body
  stream.once('close', () => dispatcher.destroy().catch(() => undefined))
  await reply.status(statusCode).headers(picked(headers, REPLY_HEADERS)).send(stream)
}

function picked(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  return Object.fromEntries(
    names.flatMap((name) => {
      const value = headers[name]
      return typeof value === 'string' ? [[name, value]] : []
    }),
  )
}
