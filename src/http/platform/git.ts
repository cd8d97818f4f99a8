import type { FastifyInstance, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { noOtherRevision } from '../../config-fields.ts'
import type { Redactor } from '../../redaction/redactor.ts'
import type { WorkspaceGuard } from '../../workspace/guard.ts'
import type { Repositories } from '../../workspace/repositories.ts'
import type { Head } from '../../workspace/repository.ts'
import type { GivenTokens } from '../../workspace/repository-url.ts'
import type { ActiveWorkflow, Workflows } from '../../workspace/workflows.ts'
import { about, ok } from '../document/about.ts'
import { parse } from '../doors/parse.ts'
import { leaving } from '../stream/leaving.ts'
import { PathQuery, toWorkspacePath } from './client-path.ts'

export interface GitRoutesOptions {
  guard: WorkspaceGuard
  repositories: Repositories
  workflows: Workflows
  redactor: Redactor
}

const emptyIsAbsent = z
  .string()
  .trim()
  .nullish()
  .transform((text) => (text === '' || text === null ? undefined : text))

const RemoteBody = z.object({
  path: z.string().default(''),
  remoteUrl: z.string().min(1),
  branch: emptyIsAbsent,
  ...noOtherRevision,
})
const AddBody = z.object({
  url: z.string().min(1),
  branch: emptyIsAbsent,
  name: emptyIsAbsent,
  ...noOtherRevision,
})
const RemoveBody = z.object({ name: z.string().min(1) })
const WorkflowBody = z.object({
  gitUrl: emptyIsAbsent,
  branch: emptyIsAbsent,
  path: emptyIsAbsent,
  ...noOtherRevision,
})
const TokenHeaders = z.object({
  'x-github-token': emptyIsAbsent,
  'x-gitlab-token': emptyIsAbsent,
})

const DEFAULT_BRANCH = 'main'

const detachedHead = () => ({
  detached: z.literal(true).optional().describe('No branch is checked out: a tag or a commit was asked for.'),
  commit: z.string().optional().describe('With `detached`.'),
})
const checkedOut = () => ({
  ...detachedHead(),
  problems: z.array(z.string()).optional().describe('What is not as one would think.'),
})

const STATUS = about(() => {
  const files = z.array(z.string())
  return {
    tag: 'workspace',
    summary: "A repository's state; of a folder that is none, that it is none.",
    query: PathQuery,
    answers: ok(
      'Its state.',
      z.looseObject({
        initialized: z.boolean(),
        hasChanges: z.boolean(),
        branch: z.string().optional(),
        remoteUrl: z.string().optional(),
        ...detachedHead(),
        modified: files,
        staged: files,
        untracked: files,
      }),
    ),
    errors: ['path_outside_workspace', 'git_failed'],
  }
})

const BRANCHES = about(() => ({
  tag: 'workspace',
  summary: 'The branches of the remote.',
  query: PathQuery,
  answers: ok('Their names.', z.object({ branches: z.array(z.string()) })),
  errors: ['path_outside_workspace', 'not_found', 'git_failed'],
}))

const REMOTE = about(() => ({
  tag: 'workspace',
  summary: 'Makes the folder a repository, if it is none, with this remote, and fetches from it.',
  headers: TokenHeaders,
  body: RemoteBody,
  example: { path: '', remoteUrl: 'https://git.example/team/app.git', branch: 'main' },
  answers: ok(
    'The remote is set.',
    z.object({
      message: z.string(),
      remote: z.string(),
      branch: z.string(),
      fetched: z.boolean(),
      problem: z.string().optional().describe('Why it could not be fetched.'),
    }),
  ),
  errors: ['path_outside_workspace', 'git_failed'],
}))

const ADD = about(() => ({
  tag: 'workspace',
  summary:
    'Clones a repository into the workspace, or brings one that is there to the branch, the tag or the commit.',
  headers: TokenHeaders,
  body: AddBody,
  example: { url: 'https://git.example/team/app.git', branch: 'main' },
  answers: ok(
    'It is there.',
    z.object({
      message: z.string(),
      name: z.string(),
      path: z.string(),
      newly_cloned: z.boolean(),
      ...checkedOut(),
    }),
  ),
  errors: ['path_outside_workspace', 'not_found', 'git_failed'],
}))

const REMOVE = about(() => ({
  tag: 'workspace',
  summary: 'Removes a repository from the workspace.',
  body: RemoveBody,
  example: { name: 'app' },
  answers: ok('It is gone.', z.object({ message: z.string() })),
  errors: ['path_outside_workspace'],
}))

const REPOSITORIES = about(() => {
  const repository = z.looseObject({
    name: z.string(),
    url: z.string(),
    branches: z.array(z.string()),
    ...detachedHead(),
  })
  return {
    tag: 'workspace',
    summary: 'Every repository of the workspace.',
    answers: ok('They.', z.object({ repos: z.array(repository) })),
  }
})

const WORKFLOW = about(() => ({
  tag: 'platform',
  summary: 'Switches the workflow: the repository that brings commands, agents and skills.',
  headers: TokenHeaders,
  body: WorkflowBody,
  example: { gitUrl: 'https://git.example/team/workflow.git', branch: 'main', path: '' },
  answers: ok(
    'The workflow that is active.',
    z.object({
      message: z.string(),
      gitUrl: z.string(),
      branch: z.string().describe("As it was asked for; the remote's default when it was not."),
      path: z.string(),
      ...checkedOut(),
    }),
  ),
  errors: ['path_outside_workspace', 'not_found', 'git_failed'],
}))

/** Registers the routes of repositories and of the workflow, under both sets of paths. */
export function gitRoutes({ guard, repositories, workflows, redactor }: GitRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    for (const url of ['/content/git-status', '/git/status']) {
      app.get(url, STATUS, async (request, reply) => {
        const { path } = parse(PathQuery, request.query, 'the query')
        return await repositories.status(toWorkspacePath(path, guard), leaving(reply))
      })
    }

    for (const url of ['/content/git-list-branches', '/git/branches']) {
      app.get(url, BRANCHES, async (request, reply) => {
        const { path } = parse(PathQuery, request.query, 'the query')
        return { branches: await repositories.branches(toWorkspacePath(path, guard), leaving(reply)) }
      })
    }

    for (const url of ['/content/git-configure-remote', '/git/configure-remote']) {
      app.post(url, REMOTE, async (request, reply) => {
        const { path, remoteUrl, branch = DEFAULT_BRANCH } = parse(RemoteBody, request.body, 'the body')
        const remote = { url: remoteUrl, branch, tokens: tokensOf(request), signal: leaving(reply) }
        const set = await repositories.configureRemote(toWorkspacePath(path, guard), remote)
        if (set.problem !== undefined) {
          request.log.warn({ reason: set.problem }, 'the remote is set and could not be fetched')
        }
        const fetched = set.problem === undefined
        const { problem } = set
        return { message: 'remote configured', remote: set.url, branch, fetched, problem }
      })
    }

    app.post('/repos/add', ADD, async (request, reply) => {
      const body = parse(AddBody, request.body, 'the body')
      const { name, path, newlyCloned, head, problems } = await repositories.add({
        url: body.url,
        branch: body.branch,
        name: body.name,
        tokens: tokensOf(request),
        signal: leaving(reply),
      })
      request.log.info({ name, newlyCloned }, 'repository added')
      return {
        message: 'Repository added',
        name,
        path,
        newly_cloned: newlyCloned,
        ...unusualFields(head, problems),
      }
    })

    app.post('/repos/remove', REMOVE, async (request, reply) => {
      const { name } = parse(RemoveBody, request.body, 'the body')
      await repositories.remove(name, leaving(reply))
      request.log.info({ name }, 'repository removed')
      return { message: 'Repository removed' }
    })

    app.get('/repos/status', REPOSITORIES, async (_request, reply) => ({
      repos: await repositories.list(leaving(reply)),
    }))

    app.post('/workflow', WORKFLOW, async (request, reply) => {
      const body = parse(WorkflowBody, request.body ?? {}, 'the body')
      const choice = {
        gitUrl: body.gitUrl ?? '',
        branch: body.branch ?? '',
        path: body.path ?? '',
      }
      const changed = await workflows.change(choice, { tokens: tokensOf(request), signal: leaving(reply) })
      const { active = choice } = workflows
      const { gitUrl, path, head, problems }: ActiveWorkflow = active
      const branch = active.branch || head?.branch || DEFAULT_BRANCH
      const message = changed ? 'Workflow updated' : 'Workflow already active'
      // The client's own URL may include credentials.
      return redactor.redactValue({ message, gitUrl, branch, path, ...unusualFields(head, problems) })
    })
  }
}

/** Returns the fields of an answer that are present only in the unusual cases: a detached HEAD, problems. */
function unusualFields(head: Head | undefined, problems: readonly string[] = []) {
  const { isDetached = false, commit } = head ?? {}
  return {
    ...(isDetached ? { detached: true, commit } : {}),
    ...(problems.length > 0 ? { problems } : {}),
  }
}

function tokensOf(request: FastifyRequest): GivenTokens {
  const headers = parse(TokenHeaders, request.headers, 'the headers')
  return { github: headers['x-github-token'], gitlab: headers['x-gitlab-token'] }
}
