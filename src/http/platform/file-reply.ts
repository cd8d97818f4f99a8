import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { RunnerError } from '../../errors.ts'
import type { OpenedFile } from '../../workspace/files.ts'

/** Somebody else's bytes: given to be saved, never rendered in the runner's origin. */
export function sendFile(reply: FastifyReply, file: OpenedFile): FastifyReply {
  return reply
    .header('content-security-policy', 'sandbox')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .header('cache-control', 'no-store')
    .header('last-modified', new Date(file.modifiedAt).toUTCString())
    .header('content-length', file.size)
    .type('application/octet-stream')
    .send(Readable.from(wholeFile(file), { objectMode: false }))
}

/**
 * Exactly the bytes that were announced. A file that was cut meanwhile has none for the rest: its reader would wait for
 * them, or take the next answer for them. So the stream breaks, and with it the connection.
 */
async function* wholeFile({ stream, size }: OpenedFile): AsyncGenerator<Buffer> {
  let bytes = 0
  for await (const chunk of stream) {
    bytes += chunk.length
    yield chunk
  }
  if (bytes < size)
    throw new RunnerError('not_found', 'The file was cut while it was read; ask for it again.')
}
