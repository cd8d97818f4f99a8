import { RunnerError } from '../errors.ts'
import { EXACT_IMAGE, isExactImage } from '../exact-image.ts'

export type LaunchMode = 'private' | 'public'

interface PlanMount {
  source: string
  target: string
  readOnly: boolean
}

/** A launch as JSON data without secrets. Equal input gives an equal plan (outside.md 2.4). */
export interface LaunchPlan {
  /** The run's id, in all names and in the label `agui-runner.run`. */
  run: string
  mode: LaunchMode
  /** `name:tag`, not `latest`, or `name@sha256:…`; undefined for this machine's programs, which then have no network. */
  image: string | undefined
  user: { uid: number; gid: number }
  mounts: PlanMount[]
  /** Folders in memory, without set-user programs and devices. */
  scratch: { target: string; bytesMax: number; readOnly: boolean }[]
  /** Anonymous volumes, which keep the image's content and owner below the read-only root. */
  volumes: string[]
  environment: Record<string, string>
  network: { kind: 'none' } | { kind: 'own'; name: string }
  limits: LaunchLimits
  command: string[]
}

export interface LaunchLimits {
  memoryBytes: number
  pids: number
  cpus: number
  logBytes: number
  stopGraceMs: number
}

/**
 * A part of a mounted workspace that is a mount of its own, so that it cannot be exchanged inside: read-only, writable,
 * blank (a file without its content) or hidden (a folder without its content).
 */
export interface GuardedPart {
  /** Path relative to the workspace. */
  path: string
  access: 'read' | 'write' | 'blank' | 'hidden'
}

export interface LaunchRequest {
  run: string
  mode: LaunchMode
  image: string | undefined
  user: { uid: number; gid: number }
  /** The workspace on the host, as its real path. */
  workspace: string
  /** Parts of the workspace, outer before inner. */
  guarded: readonly GuardedPart[]
  /** The folder of the workspace to work in, relative to it. */
  startIn: string
  /** The folder with `gateway.sock`, which leads to the broker. */
  gatewayFolder: string
  /** The folder in which the runner makes `agent.sock`. */
  agentFolder: string
  /** Real paths that may not be mounted: folders of the user's home and of the engine. */
  forbidden: readonly string[]
  /** The variables to pass in. Only names on the list are allowed. */
  environment: Readonly<Record<string, string>>
  limits: LaunchLimits
}

/** The paths inside. */
export const INSIDE = {
  workspace: '/sandbox/workspace',
  gateway: '/run/agui-runner/gateway',
  agent: '/run/agui-runner/agent',
} as const

const MIB = 1024 * 1024
const TMP_BYTES = 256 * MIB
/** Smallest size of a tmpfs, in bytes. */
const HIDDEN_BYTES = 4096

/** The launcher's variables that are passed in. None holds a secret. */
export const HANDED_ON = [
  'LLM_MODEL',
  'LOG_LEVEL',
  'PERMISSION_MODE',
  'RUN_TIMEOUT_MS',
  'RUN_IDLE_TIMEOUT_MS',
  'CLAUDE_START_TIMEOUT_MS',
  'ANTHROPIC_MODEL',
  'ANTHROPIC_SMALL_FAST_MODEL',
  'ANTHROPIC_DEFAULT_HAIKU_MODEL',
  'ANTHROPIC_DEFAULT_OPUS_MODEL',
  'ANTHROPIC_DEFAULT_SONNET_MODEL',
  'GIT_AUTHOR_NAME',
  'GIT_AUTHOR_EMAIL',
  'GIT_COMMITTER_NAME',
  'GIT_COMMITTER_EMAIL',
] as const

/** The allowed variables of a container, beside those that every launch sets. */
const PASSING = new Set<string>([
  ...HANDED_ON,
  'SESSION_ID',
  // These are the credentials' placeholders and the cloud's place.
  'ANTHROPIC_API_KEY',
  'CLAUDE_CODE_OAUTH_TOKEN',
  'CLAUDE_CODE_USE_VERTEX',
  'CLAUDE_CODE_USE_BEDROCK',
  'ANTHROPIC_VERTEX_PROJECT_ID',
  'GOOGLE_CLOUD_PROJECT',
  'GCLOUD_PROJECT',
  'CLOUD_ML_REGION',
  'AWS_REGION',
  'AWS_DEFAULT_REGION',
  // These name the repository for git and the REST API.
  'GITHUB_REPOSITORY',
  'GITHUB_SERVER_URL',
])
const PASSING_PREFIX = 'VERTEX_REGION_'

const RUN = /^[a-z0-9][a-z0-9-]{0,40}$/
const SYSTEM = ['/', '/proc', '/sys', '/dev', '/run', '/var/run', '/etc', '/usr', '/boot', '/home', '/root']
const SYSTEM_TREES = ['/proc', '/sys', '/dev', '/var/run', '/boot']

/**
 * Plans the launch of a request. Pure.
 *
 * @throws {RunnerError} `config_invalid` with every problem.
 */
export function planLaunch(request: LaunchRequest): LaunchPlan {
  const problems = problemsOf(request)
  if (problems.length > 0)
    throw new RunnerError('config_invalid', `This cannot be launched:\n  ${problems.join('\n  ')}`, {
      details: problems,
    })
  const { run, mode, image, user, limits, workspace, startIn, gatewayFolder, agentFolder } = request
  const isPrivate = mode === 'private'
  const guard = guardMounts(request)
  return {
    run,
    mode,
    image,
    user: { ...user },
    mounts: [
      { source: workspace, target: INSIDE.workspace, readOnly: false },
      ...guard.mounts,
      { source: gatewayFolder, target: INSIDE.gateway, readOnly: true },
      { source: agentFolder, target: INSIDE.agent, readOnly: false },
    ],
    scratch: [{ target: '/tmp', bytesMax: TMP_BYTES, readOnly: false }, ...guard.scratch],
    volumes: ['/sandbox'],
    environment: {
      ...request.environment,
      AGUI_LAUNCH: mode,
      AGUI_GATEWAY_SOCKET: `${INSIDE.gateway}/gateway.sock`,
      AGUI_SOCKET: `${INSIDE.agent}/agent.sock`,
      WORKSPACE_PATH: startIn === '' ? INSIDE.workspace : `${INSIDE.workspace}/${startIn}`,
    },
    network: isPrivate ? { kind: 'none' } : { kind: 'own', name: containerName(run) },
    limits: { ...limits },
    command: ['/runner/entrypoint.sh'],
  }
}

/** Returns the name of the run's container and network. */
export function containerName(run: string): string {
  return `agui-runner-${run}`
}

/** Returns the mounts of the guarded parts. What is hidden is a folder in memory instead. */
function guardMounts({ guarded, workspace }: LaunchRequest): Pick<LaunchPlan, 'mounts' | 'scratch'> {
  const inside = (path: string): string => `${INSIDE.workspace}/${path}`
  return {
    mounts: guarded
      .filter(({ access }) => access !== 'hidden')
      .map(({ path, access }) => ({
        source: access === 'blank' ? '/dev/null' : `${workspace}/${path}`,
        target: inside(path),
        readOnly: access !== 'write',
      })),
    scratch: guarded
      .filter(({ access }) => access === 'hidden')
      .map(({ path }) => ({ target: inside(path), bytesMax: HIDDEN_BYTES, readOnly: true })),
  }
}

function problemsOf(request: LaunchRequest): string[] {
  const { run, image, user, environment, limits } = request
  const problems: string[] = []
  if (!RUN.test(run)) problems.push('run: a-z, 0-9 and -, at most 41 characters, no - in front')
  if (image !== undefined && !isExactImage(image)) problems.push(`image: ${EXACT_IMAGE}`)
  if (image === undefined && request.mode === 'public')
    problems.push('mode: a process has no network of its own, so it is private')
  if (!Number.isInteger(user.uid) || user.uid <= 0) problems.push('user: not root')
  for (const name of Object.keys(environment))
    if (!PASSING.has(name) && !name.startsWith(PASSING_PREFIX))
      problems.push(`environment: ${name} is not handed into a container`)
  for (const [name, value] of Object.entries(environment))
    if (/[\0\r\n]/.test(value)) problems.push(`environment: ${name} must be one line`)
  for (const [name, value] of Object.entries(limits))
    if (!Number.isFinite(value) || value <= 0) problems.push(`limits.${name}: more than 0`)
  return [...problems, ...folderProblems(request), ...partProblems(request)]
}

function folderProblems(request: LaunchRequest): string[] {
  const { workspace, gatewayFolder, agentFolder, forbidden } = request
  const folders = Object.entries({ workspace, gatewayFolder, agentFolder })
  return folders.flatMap(([name, path]) => {
    if (!path.startsWith('/') || !isMountable(path))
      return [`${name}: an absolute real path without commas and quotes`]
    const isSystem = SYSTEM.includes(path) || SYSTEM_TREES.some((tree) => path.startsWith(`${tree}/`))
    const holds = forbidden.some((one) => one === path || one.startsWith(`${path}/`))
    return isSystem || holds
      ? [`${name}: ${path} is, or holds, a home, the system or an engine's socket`]
      : []
  })
}

function partProblems({ guarded, startIn }: LaunchRequest): string[] {
  const bad = guarded.map(({ path }) => path).filter((path) => path.startsWith('/') || !isMountable(path))
  const problems = bad.map(
    (path) => `workspace: ${JSON.stringify(path)} in it has a comma, quote or line end in its name`,
  )
  // It is no mount of its own, only a variable inside.
  if (/^\/|[\0\r\n]/.test(startIn) || hasParent(startIn))
    problems.push(`workspace: ${JSON.stringify(startIn)} is no folder in it to start in`)
  return problems
}

/** The engines' mount syntax separates words by commas. */
function isMountable(path: string): boolean {
  return !/[,\0\r\n"]/.test(path) && !hasParent(path)
}

const hasParent = (path: string): boolean => path.split('/').includes('..')
