import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import type { Redactor } from '../../redaction/redactor.ts'
import type { WorkspaceChanges } from '../../workspace/changes.ts'
import type { WorkspaceFiles } from '../../workspace/files.ts'
import { SHOWN_BYTES_MAX, toShownText } from '../../workspace/shown-text.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { leaving } from '../stream/leaving.ts'
import { PathQuery, toWorkspacePath } from './client-path.ts'

export interface ShownFileRoutesOptions {
  files: WorkspaceFiles
  changes: WorkspaceChanges
  redactor: Redactor
}

const ChangeQuery = z.object({
  repository: z.string().default('').describe('As /changes names it.'),
  path: z.string().min(1).describe('From the root of that repository.'),
})

const CHANGES = about(() => {
  const lines = z.number().int().optional()
  const file = z.object({
    path: z.string().describe('From the root of the repository.'),
    state: z.enum(['added', 'modified', 'deleted', 'untracked', 'conflicted']),
    added: lines.describe('Lines; absent of an untracked or a binary file.'),
    removed: lines,
    isBinary: z.literal(true).optional(),
  })
  const repository = z.object({
    repository: z.string().describe("From the workspace's root; empty for the workspace itself."),
    branch: z.string().describe('`HEAD` when none is checked out.'),
    files: z.array(file),
    truncated: z.boolean(),
  })
  return {
    tag: 'workspace',
    summary: "What differs from git's HEAD, in every repository of the workspace.",
    answers: ok('The repositories.', z.object({ repositories: z.array(repository) })),
    errors: ['git_failed'],
  }
})

const CHANGE = about(() => ({
  tag: 'workspace',
  summary: 'One file as HEAD has it and as it is now, as text without secrets.',
  details: `The side that does not exist is left out. A side has at most ${SHOWN_BYTES_MAX} bytes and is UTF-8; a link is not followed.`,
  query: ChangeQuery,
  answers: ok('Both sides.', z.object({ before: z.string().optional(), after: z.string().optional() })),
  errors: ['path_outside_workspace', 'not_found', 'too_large', 'git_failed'],
}))

const TEXT = about(() => ({
  tag: 'workspace',
  summary: 'One file as text without secrets, to be shown.',
  details: `It has at most ${SHOWN_BYTES_MAX} bytes and is UTF-8; /content/file has the bytes of any file.`,
  query: PathQuery,
  answers: ok('The text.', z.object({ text: z.string() })),
  errors: ['path_outside_workspace', 'not_found', 'too_large'],
}))

/** Registers the routes that show files of the workspace to a person. Unlike the file routes, they remove secrets. */
export function shownFileRoutes({ files, changes, redactor }: ShownFileRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/changes', CHANGES, async (_request, reply) =>
      redactor.redactValue({ repositories: await changes.list(leaving(reply)) }),
    )

    app.get('/changes/file', CHANGE, async (request, reply) => {
      const { repository, path } = parse(ChangeQuery, request.query, 'the query')
      return redactor.redactValue(await changes.file(repository, path, leaving(reply)))
    })

    app.get('/content/text', TEXT, async (request) => {
      const { path } = parse(PathQuery, request.query, 'the query')
      const bytes = await files.readBytes(toWorkspacePath(path, files.guard), { bytesMax: SHOWN_BYTES_MAX })
      return { text: redactor.redactText(toShownText(bytes, path)) }
    })
  }
}
