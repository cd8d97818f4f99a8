import { Readable } from 'node:stream'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import type { Listing, WorkspaceFiles } from '../../workspace/files.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { checkCoding } from '../doors/request-head.ts'
import { leaving } from '../stream/leaving.ts'
import { fileEntry, PathQuery, toWorkspacePath, WildcardParams } from './client-path.ts'
import { sendFile } from './file-reply.ts'

export interface WorkspaceFileRoutesOptions {
  files: WorkspaceFiles
  fileBytesMax: number
}

const listing = () => z.object({ files: z.array(fileEntry()), truncated: z.boolean().optional() })

const LIST = about(() => ({
  tag: 'workspace',
  summary: 'The entries of one folder.',
  query: PathQuery,
  answers: ok('The entries.', listing()),
  errors: ['path_outside_workspace', 'not_found'],
}))

const READ = about(() => ({
  tag: 'workspace',
  summary: 'One file, or the entries of one folder.',
  params: WildcardParams,
  answers: {
    200: { says: 'Its bytes, or its entries.', json: listing(), media: ['application/octet-stream'] },
  },
  errors: ['path_outside_workspace', 'not_found'],
}))

const DELETE = about(() => ({
  tag: 'workspace',
  summary: 'Removes a file; of a link the link.',
  params: WildcardParams,
  answers: ok('It is gone.', z.object({ message: z.string() })),
  errors: ['path_outside_workspace', 'not_found'],
}))

const UPLOAD = about(() => ({
  tag: 'workspace',
  summary: 'Writes one file, whole, from the bytes of the body; at most FILE_BYTES_MAX.',
  params: WildcardParams,
  body: 'bytes',
  answers: ok('It is written.', z.object({ message: z.string(), path: z.string(), size: z.number() })),
  errors: ['path_outside_workspace'],
}))

const BASES = ['/workspace', '/files']

/** Registers the file routes of the platform's API server: the path in the URL, the bytes as the body. */
export function workspaceFileRoutes(options: WorkspaceFileRoutesOptions) {
  const { files } = options
  return async (app: FastifyInstance): Promise<void> => {
    for (const base of BASES) {
      app.get(base, LIST, async (request) => {
        const { path } = parse(PathQuery, request.query, 'the query')
        return toBody(await files.list(toWorkspacePath(path, files.guard)))
      })

      app.get(`${base}/*`, READ, async (request, reply) => {
        const found = await files.open(pathOf(request, files))
        return 'stream' in found ? sendFile(reply, found) : toBody(found)
      })

      app.delete(`${base}/*`, DELETE, async (request) => {
        await files.remove(pathOf(request, files))
        return { message: 'file deleted successfully' }
      })
    }
    await app.register(uploadRoutes(options))
  }
}

function uploadRoutes(options: WorkspaceFileRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    // The body is the file, whatever its content type. It is streamed to the file and never parsed.
    app.removeAllContentTypeParsers()
    app.addContentTypeParser('*', async (request: FastifyRequest, payload: unknown) => {
      checkCoding(request)
      return payload
    })
    for (const base of BASES) {
      app.put(`${base}/*`, UPLOAD, (request, reply) => upload(options, request, reply))
    }
  }
}

async function upload(
  { files, fileBytesMax }: WorkspaceFileRoutesOptions,
  request: FastifyRequest,
  reply: FastifyReply,
) {
  const path = pathOf(request, files)
  const { body } = request
  try {
    if (request.headers['content-range'] !== undefined)
      throw new RunnerError(
        'invalid_input',
        'A file is written whole; send all of it, without Content-Range.',
      )
    if (Number(request.headers['content-length'] ?? 0) > fileBytesMax) {
      throw new RunnerError('too_large', `A file may have at most ${fileBytesMax} bytes (FILE_BYTES_MAX).`)
    }
    // A body that is too long is not destroyed, because the answer needs the same socket.
    const source = body instanceof Readable ? body.iterator({ destroyOnReturn: false }) : []
    const size = await files.write(path, source, { bytesMax: fileBytesMax, signal: leaving(reply) })
    return { message: 'ok', path: `/${path.replace(/^\/+/, '')}`, size }
  } catch (error) {
    // The connection closes after the answer, so that the rest of the body need not be read.
    reply.header('connection', 'close')
    if (error instanceof RunnerError || !request.raw.destroyed) throw error
    throw new RunnerError('invalid_input', 'The upload was cut off; nothing was written.', { cause: error })
  }
}

function pathOf(request: FastifyRequest, files: WorkspaceFiles): string {
  return toWorkspacePath(parse(WildcardParams, request.params, 'the path')['*'], files.guard)
}

function toBody({ entries, truncated }: Listing): object {
  return { files: entries, ...(truncated ? { truncated } : {}) }
}
