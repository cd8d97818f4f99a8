import { existsSync } from 'node:fs'
import { isIPv6 } from 'node:net'
import { resolve } from 'node:path'
import { z } from 'zod'
import { areProxies, PROXIES, WebOrigin } from './callers.ts'
import {
  durationField as duration,
  emptyIsUnset,
  flagField as flag,
  integerField as integer,
  listField as list,
  noOtherRevision,
  oneOfField as oneOf,
  textField as text,
} from './config-fields.ts'
import { OTLP_FIELDS, otlpOf } from './config-otlp.ts'
import { RunnerError } from './errors.ts'
import { parseJson } from './json.ts'
import { LINK_FIELDS, linkProblems, linkSettings } from './link-settings.ts'
import { ModelName } from './model-name.ts'
import { isNoWorkspace } from './no-workspace.ts'

/** The home folder in the image (openshell.md section 8). Where it does not exist, the current folder is used. */
const SANDBOX_HOME = '/sandbox'
/** The file that the control plane uploads the prompt to (openshell.md 6.1.7). */
const INITIAL_PROMPT_FILE = '/tmp/initial_prompt.txt'
const IMAGE_POLICY = '/etc/openshell/policy.yaml'

const KIB = 1024
const MIB = 1024 * KIB
/** Room for a file path of Linux' PATH_MAX bytes, each percent-encoded. */
const URL_BYTES = 3 * 4 * KIB

/** Upper bound of an age that no timer waits for, in milliseconds: the clock can be set back and forth by it. */
const AGE_MS_MAX = 1_000_000_000_000

/** The number of characters that fit into a key of the log, whichever they are. */
const ID_CHARS = 256

/** The message for a wrong URL. It does not repeat the URL, which may contain a password. */
const REPOSITORY_URL = 'must be an https:// or http:// URL of a repository'
const repositoryUrl = z
  .string(REPOSITORY_URL)
  .trim()
  .refine((url) => URL.canParse(url) && /^https?:$/.test(new URL(url).protocol), REPOSITORY_URL)
const optionalText = z
  .string('must be a text')
  .trim()
  .nullish()
  .transform((value) => (value === '' || value === null ? undefined : value))
const Remote = z.object({ url: repositoryUrl, branch: optionalText, ...noOtherRevision }, 'must be an object')
/** The repositories in the control plane's current form, and in its older form `{input: {url, branch}, output}`. */
const Repositories = z.array(
  z.preprocess(
    (entry) => {
      if (typeof entry !== 'object' || entry === null || !('input' in entry)) return entry
      return { name: 'name' in entry ? entry.name : undefined, ...Object(entry.input) }
    },
    Remote.extend({ name: optionalText }),
  ),
  'must be a JSON array of {"url", "branch", "name"}',
)

const repositories = text.transform((json, context) => {
  if (json === undefined || json.trim() === 'null') return []
  const parsed = Repositories.safeParse(parseJson(json))
  if (parsed.success) return parsed.data
  for (const { path, message } of parsed.error.issues) {
    const [index, field] = path
    const where = typeof index === 'number' ? `entry ${index + 1}` : ''
    const words = [where, field === undefined ? '' : String(field), message]
    context.addIssue(words.filter((word) => word !== '').join(' '))
  }
  return z.NEVER
})

const HOST_NAMES =
  'must list names or addresses of hosts, without scheme, port or wildcard; * alone is any host'
function isHostName(text: string): boolean {
  return /^(?:\*|[\w.-]+|\[[0-9a-f:.]+\])$/i.test(text) || isIPv6(text)
}

/** A header carries it, so a request could never show another. */
const TOKEN = 'must be ASCII characters on one line, without a space at its ends'

/** Upper bound of a unix socket's path. The kernel keeps 108 bytes, and the last is a zero. */
const SOCKET_PATH_BYTES = 107
const socketPath = text.refine(
  (path) => path === undefined || (path.startsWith('/') && Buffer.byteLength(path) <= SOCKET_PATH_BYTES),
  `must be an absolute path of at most ${SOCKET_PATH_BYTES} bytes`,
)

const Environment = z.object({
  AGUI_HOST: z
    .preprocess(emptyIsUnset, z.string().default('127.0.0.1'))
    .transform((host) => host.replace(/^\[(.*)\]$/, '$1')),
  AGUI_PORT: integer(8001, { max: 65535 }),
  AGUI_SOCKET: socketPath,
  AGUI_GATEWAY_SOCKET: socketPath,
  AGUI_LAUNCH: z.preprocess(
    emptyIsUnset,
    z.enum(['private', 'public'], 'must be private or public').optional(),
  ),
  AGUI_TOKEN: z.preprocess(
    emptyIsUnset,
    z
      .string()
      .regex(/^[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?$/, TOKEN)
      .optional(),
  ),
  AGUI_INSECURE: flag,
  AGUI_ALLOWED_HOSTS: list.refine((hosts) => hosts.every(isHostName), HOST_NAMES),
  AGUI_ALLOWED_ORIGINS: list.pipe(z.array(WebOrigin)),
  TRUSTED_PROXIES: list.refine(areProxies, PROXIES),
  GITHUB_HOSTS: list,
  GITLAB_HOSTS: list,
  AGUI_ON_DISCONNECT: oneOf(['continue', 'interrupt']),
  SESSION_ID: text,
  WORKSPACE_PATH: text,
  RUNNER_STATE_DIR: text,
  STATE_RECOVERY: oneOf(['refuse', 'reset']),
  EVENT_LOG_URL: text,
  RUNNER_URL: z.preprocess(
    emptyIsUnset,
    z.url({ protocol: /^https?$/, error: 'must be an http:// or https:// URL' }).optional(),
  ),
  FORWARD_RUNS: flag,
  HOME: text,
  CLAUDE_CONFIG_DIR: text,
  LLM_MODEL: z.preprocess(emptyIsUnset, ModelName.optional()),
  INITIAL_PROMPT: text,
  INITIAL_PROMPT_FILE: text,
  IS_RESUME: flag,
  STOP_ON_RUN_FINISHED: flag,
  AGUI_EXIT_CODES: oneOf(['auto', 'detailed', 'zero']),
  ...LINK_FIELDS,
  PAYLOAD_MCP_CONFIG_FILE: text,
  SDK_OPTIONS: text,
  SESSION_CONFIG_PATH: text,
  REPOS_JSON: repositories,
  ACTIVE_WORKFLOW_GIT_URL: z.preprocess(emptyIsUnset, repositoryUrl.optional()),
  ACTIVE_WORKFLOW_BRANCH: text,
  ACTIVE_WORKFLOW_PATH: text,
  GITHUB_TOKEN: text,
  GITLAB_TOKEN: text,
  AGUI_CREDENTIALS: oneOf(['broker', 'pass']),
  LOG_FILE: text,
  LOG_LEVEL: z.preprocess(
    (value) => (typeof value === 'string' && value !== '' ? value.toLowerCase() : undefined),
    z
      .enum(['trace', 'debug', 'info', 'warn', 'warning', 'error', 'fatal', 'silent'], {
        error: 'must be one of trace, debug, info, warn, error, fatal, silent',
      })
      .default('info')
      .transform((level) => (level === 'warning' ? 'warn' : level)),
  ),
  POLICY_FILE: text,
  POLICY_ENFORCEMENT: oneOf(['auto', 'required', 'off']),
  PERMISSION_MODE: oneOf(['auto', 'ask', 'accept-edits', 'never-ask']),
  CLAUDE_SETTING_SOURCES: list.pipe(
    z.array(z.enum(['user', 'project', 'local'], { error: 'must be a list of user, project, local' })),
  ),
  CLAUDE_SLASH_COMMANDS: flag,
  REQUEST_BODY_BYTES_MAX: integer(10 * MIB, { min: KIB, unit: 'bytes' }),
  UPLOAD_BODY_BYTES_MAX: integer(22 * MIB, { min: KIB, unit: 'bytes' }),
  FILE_BYTES_MAX: integer(100 * MIB, { unit: 'bytes' }),
  ID_CHARS_MAX: integer(ID_CHARS, { min: 64, max: ID_CHARS, unit: 'characters' }),
  JSON_DEPTH_MAX: integer(128, { min: 16, max: 240 }),
  URL_BYTES_MAX: integer(URL_BYTES, { min: 256, max: 64 * KIB, unit: 'bytes' }),
  HEADERS_BYTES_MAX: integer(16 * KIB, { min: KIB, max: MIB, unit: 'bytes' }),
  HEADERS_MAX: integer(100, { min: 16, max: 1000 }),
  HEADERS_TIMEOUT_MS: duration(10_000, { min: 100 }),
  REQUEST_TIMEOUT_MS: duration(60_000, { min: 100 }),
  KEEP_ALIVE_TIMEOUT_MS: duration(72_000, { min: 100 }),
  OTHER_CONNECTIONS_MAX: integer(1024, { min: 1 }),
  REQUESTS_PER_MINUTE_MAX: integer(60_000),
  AUTH_FAILURES_PER_MINUTE_MAX: integer(600),
  SOCKET_MESSAGES_PER_MINUTE_MAX: integer(60_000),
  REPOS_MAX: integer(32, { max: 200 }),
  WORKSPACE_SETUP_TIMEOUT_MS: duration(300_000, { min: 1 }),
  THREADS_MAX: integer(256, { min: 1 }),
  CLAUDE_PROCESSES_MAX: integer(8, { min: 1 }),
  SUBSCRIBERS_MAX: integer(1000, { min: 1 }),
  SUBSCRIBER_BUFFER_BYTES_MAX: integer(MIB, { min: KIB, unit: 'bytes' }),
  QUEUE_MAX: integer(32, { min: 1 }),
  QUEUE_BYTES_MAX: integer(64 * MIB, { min: KIB, unit: 'bytes' }),
  EVENT_BYTES_MAX: integer(MIB, { min: 4 * KIB, unit: 'bytes' }),
  RUN_TIMEOUT_MS: duration(0),
  RUN_IDLE_TIMEOUT_MS: duration(600_000),
  CLAUDE_START_TIMEOUT_MS: duration(60_000, { min: 1 }),
  CLAUDE_CONTROL_TIMEOUT_MS: duration(15_000, { min: 1 }),
  CLAUDE_STOP_STEP_MS: duration(2000, { min: 1 }),
  CLAUDE_CONNECT_MAX_RETRIES: integer(3, { max: 100 }),
  CLAUDE_CONNECT_RETRY_DELAY: integer(2, { unit: 'seconds', max: 3600 }),
  CLAUDE_API_TIMEOUT_MS: duration(120_000, { min: 1000 }),
  CLAUDE_IDLE_MS: duration(900_000, { min: 1 }),
  SSE_KEEPALIVE_MS: duration(15_000, { min: 100 }),
  INTERRUPT_GRACE_MS: duration(5000, { min: 1 }),
  DISCONNECT_GRACE_MS: duration(2000, { max: 600_000 }),
  INTERRUPT_EXPIRES_MS: duration(0, { max: AGE_MS_MAX }),
  SHUTDOWN_GRACE_MS: duration(10_000, { min: 1 }),
  THREAD_LEASE_MS: duration(15_000, { min: 1000 }),
  LOG_RETENTION_BYTES: integer(1024 * MIB, { min: MIB, unit: 'bytes' }),
  LOG_RETENTION_MS: duration(0, { max: AGE_MS_MAX }),
  DELTA_COALESCE_MS: duration(0, { max: 1000 }),
  ...OTLP_FIELDS,
})

/** The name of every variable that is read. docs/configuration.md has a row for each. */
export const VARIABLES: readonly string[] = Object.keys(Environment.shape)

export type Env = Readonly<Record<string, string | undefined>>

export interface ConfigDefaults {
  /** The folder of `policy.yaml` and the wrappers. */
  appDirectory: string
  workingDirectory: string
}

export type Config = ReturnType<typeof loadConfig>

/**
 * Returns the runner's configuration from the environment (contract sections 3 and 7). Its only side effect is to look
 * at the file system: whether some files and folders exist, and where links lead.
 *
 * @throws {RunnerError} `config_invalid` naming every variable that is wrong and the accepted form, never a value.
 */
export function loadConfig(env: Env, defaults: ConfigDefaults) {
  // The schema parses once, so compiling it would take longer than interpreting it.
  const parsed = Environment.safeParse(env, { jitless: true })
  const problems = parsed.success
    ? crossProblems(parsed.data)
    : parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`)
  if (!parsed.success || problems.length > 0) {
    throw notRight(problems)
  }
  const v = parsed.data
  const image = existsSync(SANDBOX_HOME) ? SANDBOX_HOME : undefined
  const at = (path: string): string => resolve(defaults.workingDirectory, path)
  const workspace = at(v.WORKSPACE_PATH ?? (image === undefined ? 'workspace' : `${image}/workspace`))
  if (isNoWorkspace(workspace, v.HOME)) throw notRight([NO_WORKSPACE])
  const platformLink = linkSettings(v)
  const stateDirectory = at(v.RUNNER_STATE_DIR ?? (image === undefined ? '.runner' : `${image}/.runner`))
  return Object.freeze({
    host: v.AGUI_HOST,
    port: v.AGUI_PORT,
    /** The path of the unix socket that is served instead of host and port. */
    socket: v.AGUI_SOCKET,
    gatewaySocket: v.AGUI_GATEWAY_SOCKET,
    token: v.AGUI_TOKEN,
    isInsecure: v.AGUI_INSECURE && !isLoopback(v.AGUI_HOST) && v.AGUI_TOKEN === undefined,
    allowedHosts: isLoopback(v.AGUI_HOST) ? v.AGUI_ALLOWED_HOSTS : [...v.AGUI_ALLOWED_HOSTS, v.AGUI_HOST],
    allowedOrigins: v.AGUI_ALLOWED_ORIGINS,
    trustedProxies: v.TRUSTED_PROXIES,
    tokenHosts: {
      github: v.GITHUB_HOSTS.length === 0 ? ['github.com'] : v.GITHUB_HOSTS,
      gitlab: v.GITLAB_HOSTS.length === 0 ? ['gitlab.com'] : v.GITLAB_HOSTS,
    },
    onDisconnect: v.AGUI_ON_DISCONNECT,
    sessionId: v.SESSION_ID,
    workspace,
    stateDirectory,
    claudeState: v.CLAUDE_CONFIG_DIR ?? `${stateDirectory}/claude`,
    stateRecovery: v.STATE_RECOVERY,
    eventLogUrl: v.EVENT_LOG_URL,
    runnerUrl: v.RUNNER_URL ?? `http://${urlHost(v.AGUI_HOST)}:${v.AGUI_PORT}`,
    forwardRuns: v.FORWARD_RUNS,
    home: v.HOME,
    model: v.LLM_MODEL,
    initialPrompt: v.INITIAL_PROMPT,
    initialPromptFile: v.INITIAL_PROMPT_FILE ?? INITIAL_PROMPT_FILE,
    isResume: v.IS_RESUME,
    stopOnRunFinished: v.STOP_ON_RUN_FINISHED,
    /** With a control plane `zero`: it takes any other code as the session's end, and gets failures as messages. */
    exitCodes:
      v.AGUI_EXIT_CODES === 'auto' ? (platformLink === undefined ? 'detailed' : 'zero') : v.AGUI_EXIT_CODES,
    platformLink,
    mcpConfigFile: v.PAYLOAD_MCP_CONFIG_FILE,
    sdkOptions: v.SDK_OPTIONS,
    sessionConfigPath: v.SESSION_CONFIG_PATH,
    repositories: v.REPOS_JSON,
    workflow:
      v.ACTIVE_WORKFLOW_GIT_URL === undefined
        ? undefined
        : {
            gitUrl: v.ACTIVE_WORKFLOW_GIT_URL,
            branch: v.ACTIVE_WORKFLOW_BRANCH ?? '',
            path: v.ACTIVE_WORKFLOW_PATH ?? '',
          },
    repositoryTokens: { github: v.GITHUB_TOKEN, gitlab: v.GITLAB_TOKEN },
    credentials: v.AGUI_CREDENTIALS,
    logFile: v.LOG_FILE ?? `${stateDirectory}/logs/runner.log`,
    logLevel: v.LOG_LEVEL,
    /** Where traces and metrics are sent; undefined when they are not exported. */
    otlp: otlpOf(v),
    policyFile:
      v.POLICY_FILE ?? (existsSync(IMAGE_POLICY) ? IMAGE_POLICY : `${defaults.appDirectory}/policy.yaml`),
    policyEnforcement: v.POLICY_ENFORCEMENT,
    wrappersDirectory: `${defaults.appDirectory}/wrappers`,
    permissionMode: v.PERMISSION_MODE,
    settingSources: v.CLAUDE_SETTING_SOURCES,
    slashCommands: v.CLAUDE_SLASH_COMMANDS,
    limits: limitsOf(v),
  })
}

function notRight(problems: readonly string[]): RunnerError {
  const message = `The environment is not right:\n  ${problems.join('\n  ')}`
  return new RunnerError('config_invalid', message, { details: problems })
}

const NO_WORKSPACE =
  'WORKSPACE_PATH: it is a folder of the system, or a home; give one of its own, such as a folder below the home'
function limitsOf(v: z.infer<typeof Environment>) {
  return Object.freeze({
    requestBodyBytesMax: v.REQUEST_BODY_BYTES_MAX,
    uploadBodyBytesMax: v.UPLOAD_BODY_BYTES_MAX,
    fileBytesMax: v.FILE_BYTES_MAX,
    idCharsMax: v.ID_CHARS_MAX,
    jsonDepthMax: v.JSON_DEPTH_MAX,
    urlBytesMax: v.URL_BYTES_MAX,
    headersBytesMax: v.HEADERS_BYTES_MAX,
    headersMax: v.HEADERS_MAX,
    headersTimeoutMs: v.HEADERS_TIMEOUT_MS,
    requestTimeoutMs: v.REQUEST_TIMEOUT_MS,
    keepAliveTimeoutMs: v.KEEP_ALIVE_TIMEOUT_MS,
    otherConnectionsMax: v.OTHER_CONNECTIONS_MAX,
    requestsPerMinuteMax: v.REQUESTS_PER_MINUTE_MAX,
    authFailuresPerMinuteMax: v.AUTH_FAILURES_PER_MINUTE_MAX,
    socketMessagesPerMinuteMax: v.SOCKET_MESSAGES_PER_MINUTE_MAX,
    workspaceSetupTimeoutMs: v.WORKSPACE_SETUP_TIMEOUT_MS,
    threadsMax: v.THREADS_MAX,
    claudeProcessesMax: v.CLAUDE_PROCESSES_MAX,
    subscribersMax: v.SUBSCRIBERS_MAX,
    subscriberBufferBytesMax: v.SUBSCRIBER_BUFFER_BYTES_MAX,
    queueMax: v.QUEUE_MAX,
    queueBytesMax: v.QUEUE_BYTES_MAX,
    eventBytesMax: v.EVENT_BYTES_MAX,
    runTimeoutMs: v.RUN_TIMEOUT_MS,
    runIdleTimeoutMs: v.RUN_IDLE_TIMEOUT_MS,
    claudeStartTimeoutMs: v.CLAUDE_START_TIMEOUT_MS,
    claudeControlTimeoutMs: v.CLAUDE_CONTROL_TIMEOUT_MS,
    claudeStopStepMs: v.CLAUDE_STOP_STEP_MS,
    connectRetryDelayMs: v.CLAUDE_CONNECT_RETRY_DELAY * 1000,
    claudeRetriesMax: v.CLAUDE_CONNECT_MAX_RETRIES,
    claudeApiTimeoutMs: v.CLAUDE_API_TIMEOUT_MS,
    claudeIdleMs: v.CLAUDE_IDLE_MS,
    sseKeepaliveMs: v.SSE_KEEPALIVE_MS,
    interruptGraceMs: v.INTERRUPT_GRACE_MS,
    disconnectGraceMs: v.DISCONNECT_GRACE_MS,
    interruptExpiresMs: v.INTERRUPT_EXPIRES_MS,
    shutdownGraceMs: v.SHUTDOWN_GRACE_MS,
    threadLeaseMs: v.THREAD_LEASE_MS,
    logRetentionBytes: v.LOG_RETENTION_BYTES,
    logRetentionMs: v.LOG_RETENTION_MS,
    deltaCoalesceMs: v.DELTA_COALESCE_MS,
  })
}

const LOOPBACK = /^(127\.\d+\.\d+\.\d+|::1|localhost)$/i

function urlHost(host: string): string {
  return host.includes(':') ? `[${host}]` : host
}

function isLoopback(host: string): boolean {
  return LOOPBACK.test(host)
}

function crossProblems(v: z.infer<typeof Environment>): string[] {
  const problems = linkProblems(v)
  if (!isLoopback(v.AGUI_HOST) && v.AGUI_TOKEN === undefined && !v.AGUI_INSECURE) {
    problems.push(
      'AGUI_TOKEN: must be set when AGUI_HOST is not a loopback address; AGUI_INSECURE=true starts without it all the same',
    )
  }
  if ((v.SESSION_ID ?? '').length > v.ID_CHARS_MAX) {
    problems.push(`SESSION_ID: must have at most ID_CHARS_MAX (${v.ID_CHARS_MAX}) characters`)
  }
  if (v.SESSION_ID === '.' || v.SESSION_ID === '..') {
    problems.push(`SESSION_ID: must not be "${v.SESSION_ID}", which no address can hold`)
  }
  if (v.HEADERS_TIMEOUT_MS > v.REQUEST_TIMEOUT_MS) {
    problems.push('HEADERS_TIMEOUT_MS: must not be longer than REQUEST_TIMEOUT_MS, which it is a part of')
  }
  if (v.LOG_RETENTION_MS > 0 && v.EVENT_LOG_URL === undefined) {
    problems.push(
      'LOG_RETENTION_MS: needs EVENT_LOG_URL; the embedded store goes by LOG_RETENTION_BYTES alone',
    )
  }
  if (v.REPOS_JSON.length > v.REPOS_MAX) {
    problems.push(`REPOS_JSON: must not name more than REPOS_MAX (${v.REPOS_MAX}) repositories`)
  }
  return problems
}
