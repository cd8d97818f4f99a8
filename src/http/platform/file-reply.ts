import type { FastifyReply } from 'fastify'
import type { OpenedFile } from '../../workspace/files.ts'

/** Somebody else's bytes: given to be saved, never rendered in the runner's origin. */
export function sendFile(reply: FastifyReply, { stream, size, modifiedAt }: OpenedFile): FastifyReply {
  return reply
    .header('content-security-policy', 'sandbox')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .header('cache-control', 'no-store')
    .header('last-modified', new Date(modifiedAt).toUTCString())
    .header('content-length', size)
    .type('application/octet-stream')
    .send(stream)
}
