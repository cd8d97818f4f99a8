import type { FastifyReply } from 'fastify'

/**
 * Returns a signal that is aborted when the connection closes. `request.signal` does not serve here: on a POST it fires
 * once the body has been read.
 */
export function leaving(reply: FastifyReply): AbortSignal {
  const left = new AbortController()
  reply.raw.once('close', () => left.abort())
  return left.signal
}
