import type { FastifyReply } from 'fastify'
import type { Blob } from '../../storage/blob.ts'

/** A client or a tool gave it; anything else could not stand in a header. */
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(; charset=[\w-]+)?$/

/** What a tool returned is nobody's page: never rendered in the runner's origin. */
export function sendBytes(reply: FastifyReply, { contentType, bytes }: Blob): FastifyReply {
  return reply
    .header('content-security-policy', 'sandbox')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .type(MEDIA_TYPE.test(contentType) ? contentType : 'application/octet-stream')
    .send(bytes)
}
