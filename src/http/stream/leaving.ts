import type { FastifyReply } from 'fastify'

/** Aborted when the client is gone. Not `request.signal`: on a POST that fires when the body has been read. */
export function leaving(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort())
  return left.signal
}
