import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import type { WorkspaceFiles } from '../../workspace/files.ts'
import { readWorkflowMetadata, type WorkflowSwitches } from '../../workspace/workflow-metadata.ts'
import type { Workflows } from '../../workspace/workflows.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { leaving } from '../stream/leaving.ts'
import { fileEntry, PathQuery, toWorkspacePath } from './client-path.ts'
import { sendFile } from './file-reply.ts'

export interface ContentRoutesOptions {
  files: WorkspaceFiles
  workflows: Workflows
  switches: WorkflowSwitches
  fileBytesMax: number
  /** Upper bound of a body that contains a file, in bytes. */
  uploadBodyBytesMax: number
}

const WriteBody = z.object({
  path: z.string().min(1),
  content: z.string().default(''),
  encoding: z
    .string()
    .toLowerCase()
    .pipe(z.enum(['', 'utf8', 'utf-8', 'base64'], { error: 'must be utf-8 or base64' }))
    .default(''),
})
const DeleteBody = z.object({ path: z.string().min(1) })
const MetadataQuery = z.object({ session: z.string().min(1) })

const LIST = about(() => ({
  tag: 'workspace',
  summary: 'The entries of one folder.',
  query: PathQuery,
  answers: ok('The entries.', z.object({ items: z.array(fileEntry()), truncated: z.boolean().optional() })),
  errors: ['path_outside_workspace', 'not_found'],
}))

const READ = about(() => ({
  tag: 'workspace',
  summary: 'One file.',
  query: PathQuery,
  answers: { 200: { says: 'Its bytes.', media: ['application/octet-stream'] } },
  errors: ['path_outside_workspace', 'not_found'],
}))

const WRITE = about(() => ({
  tag: 'workspace',
  summary: 'Writes one file, whole; folders on the way are made.',
  body: WriteBody,
  example: { path: 'notes/hello.txt', content: 'Hello.', encoding: 'utf-8' },
  answers: ok('It is written.', z.object({ message: z.string() })),
  errors: ['path_outside_workspace'],
}))

const DELETE = about(() => ({
  tag: 'workspace',
  summary: 'Removes a file; of a link the link.',
  body: DeleteBody,
  example: { path: 'notes/hello.txt' },
  answers: ok('It is gone.', z.object({ message: z.string() })),
  errors: ['path_outside_workspace', 'not_found'],
}))

const METADATA = about(() => {
  const needs = z
    .array(z.string())
    .optional()
    .describe('What has to be switched on before it works when it is sent.')
  const items = z.array(z.looseObject({ id: z.string(), name: z.string(), needs }))
  const json = z.object({
    commands: items,
    agents: items,
    skills: items,
    config: z.record(z.string(), z.unknown()),
  })
  return {
    tag: 'workspace',
    summary: 'Commands, agents, skills and settings of the active workflow.',
    query: MetadataQuery,
    answers: ok('What it brings.', json),
  }
})

/** Registers the file routes of the Python runner's clients. */
export function contentRoutes(options: ContentRoutesOptions) {
  const { files, workflows, switches, fileBytesMax, uploadBodyBytesMax } = options
  const toPath = (path: string): string => toWorkspacePath(path, files.guard)
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/content/list', LIST, async (request) => {
      const { path } = parse(PathQuery, request.query, 'the query')
      const { entries, truncated } = await files.list(toPath(path))
      return { items: entries, ...(truncated ? { truncated } : {}) }
    })

    app.get('/content/file', READ, async (request, reply) => {
      const { path } = parse(PathQuery, request.query, 'the query')
      return sendFile(reply, await files.read(toPath(path)))
    })

    app.post('/content/write', { ...WRITE, bodyLimit: uploadBodyBytesMax }, async (request, reply) => {
      const { path, content, encoding } = parse(WriteBody, request.body, 'the body')
      const bytes = encoding === 'base64' ? decodeBase64(content) : Buffer.from(content)
      await files.write(toPath(path), [bytes], { bytesMax: fileBytesMax, signal: leaving(reply) })
      return { message: 'ok' }
    })

    app.delete('/content/delete', DELETE, async (request) => {
      const { path } = parse(DeleteBody, request.body, 'the body')
      await files.remove(toPath(path))
      return { message: 'file deleted successfully' }
    })

    app.get('/content/workflow-metadata', METADATA, async (request) => {
      parse(MetadataQuery, request.query, 'the query')
      return await readWorkflowMetadata(files, workflows.active, switches)
    })
  }
}

/** Decodes base64 strictly. Node's own decoder silently skips invalid characters. */
function decodeBase64(text: string): Buffer {
  const compact = text.replace(/\s+/g, '')
  if (compact.length % 4 !== 0 || !/^[A-Za-z0-9+/]*={0,2}$/.test(compact)) {
    throw new RunnerError('invalid_input', 'In the body: content is not base64.')
  }
  return Buffer.from(compact, 'base64')
}
