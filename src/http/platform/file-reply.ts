import { Readable } from 'node:stream'
import type { FastifyReply } from 'fastify'
import { RunnerError } from '../../errors.ts'
import type { OpenedFile } from '../../workspace/files.ts'

/**
 * Answers with a file of the workspace. The bytes are untrusted: the headers make a browser save them, never render
 * them in the runner's origin.
 */
export function sendFile(reply: FastifyReply, file: OpenedFile): FastifyReply {
  return reply
    .header('content-security-policy', 'sandbox')
    .header('x-content-type-options', 'nosniff')
    .header('content-disposition', 'attachment')
    .header('cache-control', 'no-store')
    .header('last-modified', new Date(file.modifiedAt).toUTCString())
    .header('content-length', file.size)
    .type('application/octet-stream')
    .send(bodyFrom(file.stream, wholeFile(file)))
}

/**
 * Returns a body of `pieces`, which are made of what `source` yields. The source is closed with the body: a generator
 * that was never begun closes nothing, as when the client left before its answer.
 */
export function bodyFrom(source: Readable, pieces: AsyncIterable<Buffer | string>): Readable {
  return Readable.from(pieces, { objectMode: false }).once('close', () => source.destroy())
}

/**
 * Yields exactly the announced bytes. If the file was truncated in the meantime, the stream fails and the connection
 * closes. Otherwise the client would wait for the missing bytes, or take the next answer for them.
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
