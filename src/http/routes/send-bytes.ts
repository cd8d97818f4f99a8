import type { FastifyReply } from 'fastify'
import type { Blob } from '../../storage/blob.ts'

/** The media types that are passed on. They come from a client or a tool, and must be valid in a header. */
const MEDIA_TYPE = /^[\w.+-]+\/[\w.+-]+(; charset=[\w-]+)?$/

/** Answers with a blob. Its bytes are untrusted, so a browser must not render them in the runner's origin. */
export function sendBytes(reply: FastifyReply, { contentType, bytes }: Blob): FastifyReply {
  return reply
    .header('content-security-policy', 'sandbox')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .type(MEDIA_TYPE.test(contentType) ? contentType : 'application/octet-stream')
    .send(bytes)
}
