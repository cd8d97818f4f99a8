import { open, readFile } from 'node:fs/promises'
import { z } from 'zod'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import { isRepositoryName } from '../repository-name.ts'

type Env = Readonly<Record<string, string | undefined>>

/** The variables that GitHub's runner sets for every step. */
const Variables = z.object({
  GITHUB_EVENT_NAME: z.string().regex(/^[a-z_]+$/),
  GITHUB_EVENT_PATH: z.string().min(1),
  GITHUB_REPOSITORY: z.string().refine(isRepositoryName),
  GITHUB_WORKSPACE: z.string().min(1),
  GITHUB_OUTPUT: z.string().min(1),
  GITHUB_STEP_SUMMARY: z.string().min(1),
  RUNNER_TEMP: z.string().min(1),
  GITHUB_ACTOR: z.string().default(''),
  GITHUB_SERVER_URL: z.url({ protocol: /^https?$/ }).default('https://github.com'),
})

/** Without them nobody would learn how the step ended. */
const SAID_IN = ['GITHUB_OUTPUT', 'GITHUB_STEP_SUMMARY'] as const

const Place = z.object({ full_name: z.string() })
const Event = z.object({
  repository: Place.nullish(),
  sender: z.object({ login: z.string() }).nullish(),
  pull_request: z.object({ head: z.object({ repo: Place.nullable() }) }).nullish(),
  // A deployment's is null, or names no head, unless a workflow has made it.
  workflow_run: z.object({ head_repository: Place.nullish() }).nullish(),
})

/** The step that this process runs, and the event that started it. */
export interface Job {
  event: string
  /** `owner/name`. */
  repository: string
  workspace: string
  temporary: string
  serverUrl: string
  /** The login of the event's sender, else GITHUB_ACTOR. */
  actor: string
  /** The fork that the code comes from: `owner/name`, or words when it was deleted. Undefined when there is no fork. */
  fork: string | undefined
}

/**
 * Reads the step's variables and event. @throws {RunnerError} `config_invalid` outside of a step, or without an event.
 */
export async function readJob(env: Env): Promise<Job> {
  const variables = Variables.safeParse(env)
  if (!variables.success) {
    const names = [...new Set(variables.error.issues.map(({ path }) => path.join('.')))].join(', ')
    throw wrong(`This is for a step of GitHub Actions, whose runner sets ${names}`)
  }
  const { data } = variables
  for (const name of SAID_IN) await needWritable(name, data[name])
  const event = await readEvent(data.GITHUB_EVENT_PATH)
  const { sender, repository, pull_request } = event
  // Without it a fork would not be seen.
  if (data.GITHUB_EVENT_NAME.startsWith('pull_request') && !pull_request) throw notGitHubs('pull_request')
  return {
    event: data.GITHUB_EVENT_NAME,
    repository: data.GITHUB_REPOSITORY,
    workspace: data.GITHUB_WORKSPACE,
    temporary: data.RUNNER_TEMP,
    serverUrl: data.GITHUB_SERVER_URL.replace(/\/+$/, ''),
    actor: sender?.login ?? data.GITHUB_ACTOR,
    fork: forkOf(event, repository?.full_name ?? data.GITHUB_REPOSITORY),
  }
}

/** GitHub's runner has made the file. */
async function needWritable(name: string, file: string): Promise<void> {
  try {
    await (await open(file, 'r+')).close()
  } catch (error) {
    throw wrong(`${name} cannot be written: ${toMessage(error)}`)
  }
}

async function readEvent(path: string): Promise<z.infer<typeof Event>> {
  try {
    return Event.parse(JSON.parse(await readFile(path, 'utf8')))
  } catch (error) {
    if (error instanceof z.ZodError) throw notGitHubs(error.issues[0]?.path.join('.') || 'no object')
    const why = error instanceof SyntaxError ? 'it is not JSON' : toMessage(error)
    throw wrong(`The event at GITHUB_EVENT_PATH cannot be read: ${why}`)
  }
}

function notGitHubs(member: string): RunnerError {
  return wrong(`The event at GITHUB_EVENT_PATH is none of GitHub’s (${member})`)
}

function forkOf({ pull_request, workflow_run }: z.infer<typeof Event>, own: string): string | undefined {
  const heads = [pull_request?.head.repo, workflow_run?.head_repository].filter((head) => head !== undefined)
  const foreign = heads.find((head) => head?.full_name.toLowerCase() !== own.toLowerCase())
  if (foreign === undefined) return undefined
  return foreign === null ? 'a fork that is gone' : foreign.full_name
}

/** Events that only a writer of the repository can cause. For `pull_request` this holds when there is no fork. */
const OF_WRITERS = new Set([
  ...['create', 'delete', 'deployment', 'deployment_status', 'merge_group', 'pull_request', 'push'],
  ...['release', 'repository_dispatch', 'schedule', 'workflow_dispatch'],
])
/** Events that run the base's workflow with its secrets, whoever opened the pull request. */
const OF_BASE = new Set(['pull_request_target', 'workflow_run'])

/**
 * Decides whether the text of this event may become a prompt. An event that anybody can cause counts as a stranger's,
 * unless its actor may write to the repository; `rightOf` asks GitHub.
 *
 * @throws {RunnerError} `config_invalid` with the reason when it may not.
 */
export async function judgeJob(job: Job, rightOf: (login: string) => Promise<string>): Promise<void> {
  const { event, actor, fork, repository } = job
  if (fork !== undefined && !OF_BASE.has(event))
    throw wrong(
      `This ${event} comes from a fork (${fork}), and GitHub gives such a job no secrets: nothing is run. A maintainer can run it from a branch of ${repository}`,
    )
  if (OF_WRITERS.has(event)) return
  if (!/^[\w-]+(?:\[bot\])?$/.test(actor))
    throw wrong(`Nobody knows who brought this ${event} about, so nothing is run`)
  let right: string
  try {
    right = await rightOf(actor)
  } catch (error) {
    if (isCode(error, 'config_invalid')) throw error
    throw wrong(`Whether ${actor} may write to ${repository} cannot be found out: ${toMessage(error)}`)
  }
  if (right !== 'admin' && right !== 'write')
    throw wrong(
      `${actor} has brought this ${event} about and may not write to ${repository} (${right}): nothing is run for strangers`,
    )
}

function wrong(message: string): RunnerError {
  return new RunnerError('config_invalid', `${message}.`)
}
