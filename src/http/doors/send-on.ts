import type { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { Agent, request as send } from 'undici'
import { z } from 'zod'
import { FORWARDED_MARK } from './forwarded-mark.ts'

/** The request headers that the other runner needs. */
const REQUEST_HEADERS = [
  ...['accept', 'authorization', 'content-type', 'x-ambient-session-token'],
  ...['traceparent', 'tracestate'],
]
const REPLY_HEADERS = ['content-type', 'cache-control', 'x-accel-buffering', 'retry-after']
const CONNECT_MS = 5000
/** How long the other runner may take to begin its answer: a deletion waits for every step of stopping the agent. */
const ANSWER_MS = 60_000

/**
 * Sends the request to the runner at `url`, and its answer to the client.
 *
 * @param lost waits until that runner cannot answer any more. Resolves with the reason; rejects when it is aborted.
 * @throws that reason, or why the runner cannot be reached.
 */
export async function sendOn(
  url: string,
  request: FastifyRequest,
  reply: FastifyReply,
  lost: (signal: AbortSignal) => Promise<Error>,
): Promise<void> {
  const dispatcher = new Agent({
    connect: { timeout: CONNECT_MS },
    bodyTimeout: 0,
    headersTimeout: ANSWER_MS,
    pipelining: 0,
  })
  const method = z.enum(['POST', 'PUT', 'PATCH', 'DELETE', 'GET']).parse(request.method)
  const [waiting, sending] = [new AbortController(), new AbortController()]
  lost(waiting.signal).then(
    (reason) => !waiting.signal.aborted && sending.abort(reason),
    () => undefined,
  )
  try {
    const { statusCode, headers, body } = await send(`${url.replace(/\/+$/, '')}${request.url}`, {
      method,
      dispatcher,
      signal: sending.signal,
      headers: { ...picked(request.headers, REQUEST_HEADERS), [FORWARDED_MARK]: '1' },
      body: request.body === undefined || request.body === null ? null : JSON.stringify(request.body),
    }).finally(() => waiting.abort())
    request.log.info({ url, status: statusCode }, 'forwarded')
    const stream: Readable = body
    stream.once('close', () => dispatcher.destroy().catch(() => undefined))
    await reply.status(statusCode).headers(picked(headers, REPLY_HEADERS)).send(stream)
  } catch (error) {
    await dispatcher.destroy()
    throw error
  }
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
