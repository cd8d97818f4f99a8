import { createHash, randomUUID } from 'node:crypto'
import { access, constants, mkdir } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { CAPABILITIES } from './agui/capabilities.ts'
import { ClaudeAgent } from './claude/agent.ts'
import { probeHome } from './claude/home.ts'
import { decidePermissionMode } from './claude/permission-mode.ts'
import { killTree } from './claude/process-tree.ts'
import type { Config, Env } from './config.ts'
import { RunnerError, toMessage } from './errors.ts'
import { childEnvironment } from './gateway/environment.ts'
import { probeRoute } from './gateway/probe.ts'
import { detectRoute, findClaude, type ModelRoute, wrapperPath } from './gateway/route.ts'
import type { Check } from './http/routes/health.ts'
import { buildServer } from './http/server.ts'
import { Subscribers } from './http/subscribers.ts'
import { Blobs } from './log/blobs.ts'
import { LmdbEventLog } from './log/lmdb-event-log.ts'
import { Store } from './log/store.ts'
import { Sessions } from './session/sessions.ts'
import { Threads } from './session/threads.ts'
import type { Logger } from './telemetry/logger.ts'

export interface RunnerOptions {
  config: Config
  /** What the model route is found in and Claude Code's environment is taken from. */
  env: Env
  logger: Logger
  /** The route leads to our own mock: nothing real is behind it. */
  isMock: boolean
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

export interface Runner {
  /** Serves; resolves with the address. */
  listen(): Promise<string>
  /** Ends runs and processes, then the server. Idempotent; bounded by SHUTDOWN_GRACE_MS. */
  close(): Promise<void>
}

const PROBE_TIMEOUT_MS = 10_000
const LEFTOVER_KILL_MS = 2000
/** What a client has for taking the last bytes when the runner stops. */
const DRAIN_MS = 1000

/** The composition root: every object, wired by hand. */
export async function createRunner(options: RunnerOptions): Promise<Runner> {
  const { config, env, logger } = options
  const { limits } = config
  const signal = AbortSignal.timeout(limits.claudeStartTimeoutMs)
  const route = await detectRoute({ env, wrappersDirectory: config.wrappersDirectory, signal })
  await mkdir(config.workspace, { recursive: true })
  // What a runner that was killed left behind on this state folder would write to the same Claude sessions.
  const mark = createHash('sha256').update(config.stateDirectory).digest('hex').slice(0, 16)
  await killTree(mark, { timeoutMs: LEFTOVER_KILL_MS })

  const store = Store.open(`${config.stateDirectory}/store`)
  const log = new LmdbEventLog({ store, retentionBytes: limits.logRetentionBytes })
  const permissionMode = decidePermissionMode(config.permissionMode, { env, isMock: options.isMock })
  const agent = createAgent(options, { route, permissionMode, mark })
  const threads = new Threads(store)
  const blobs = new Blobs(store)
  const sessions = new Sessions({ ...limits, agent, log, threads, blobs, onLogFailure: options.onFatal })
  await sessions.recover()
  logger.info(describeRoute(route, permissionMode), 'model route')

  const subscribers = new Subscribers({ ...limits, log, keepaliveMs: limits.sseKeepaliveMs })
  const serverLogger = logger.child({})
  const app = await buildServer({
    ...config,
    ...limits,
    logger: serverLogger,
    log,
    sessions,
    blobs,
    subscribers,
    checks: (checkSignal) => runChecks(options, route, checkSignal),
    capabilities: CAPABILITIES,
  })
  let closing: Promise<void> | undefined
  return {
    async listen() {
      // Fastify would announce itself, and once per address; the one line that says so is ours.
      serverLogger.level = 'warn'
      await app.listen({ host: config.host, port: config.port })
      serverLogger.level = logger.level
      sessions.resume()
      if (config.sessionId !== undefined) warmUp(sessions, config.sessionId, logger)
      return urlOf(app.server.address(), config.host)
    },
    close() {
      closing ??= (async () => {
        await sessions.close()
        // Ends the readers behind the last record, so that every stream has a clean end before its socket goes.
        await log.close()
        const late = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
        await app.close()
        clearTimeout(late)
        await store.close()
      })()
      return closing
    },
  }
}

interface AgentFacts {
  route: ModelRoute
  permissionMode: ReturnType<typeof decidePermissionMode>
  mark: string
}

function createAgent(
  { config, env }: RunnerOptions,
  { route, permissionMode, mark }: AgentFacts,
): ClaudeAgent {
  const { limits } = config
  const claudeEnv = childEnvironment(
    { ...env, CLAUDE_CONFIG_DIR: env['CLAUDE_CONFIG_DIR'] ?? `${config.stateDirectory}/claude` },
    {
      routeKind: route.kind,
      retriesMax: limits.claudeRetriesMax,
      apiTimeoutMs: limits.claudeApiTimeoutMs,
      streamHoldMs: limits.deltaCoalesceMs,
      isSandboxed: permissionMode === 'never-ask',
      alsoPass: [],
    },
  )
  return new ClaudeAgent({
    ...config,
    executable: wrapperPath(env, config.wrappersDirectory),
    permissionMode,
    env: claudeEnv,
    mark: `${mark}:${randomUUID()}`,
    processesMax: limits.claudeProcessesMax,
    startTimeoutMs: limits.claudeStartTimeoutMs,
    idleMs: limits.claudeIdleMs,
    interruptGraceMs: limits.interruptGraceMs,
    interruptExpiresMs: limits.interruptExpiresMs,
    async beforeStart() {
      if (route.kind === 'none') throw new RunnerError('no_model_route', NO_ROUTE)
      await probeHome(claudeEnv)
    },
  })
}

const NO_ROUTE =
  'There is no way to a model: set ACP_OPENSHELL_INFERENCE, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY or another route, or start with --mock.'

/** What a run needs, each tried; the answers of /ready. */
async function runChecks(
  { config, env }: RunnerOptions,
  route: ModelRoute,
  signal: AbortSignal,
): Promise<Check[]> {
  const { wrappersDirectory, stateDirectory, workspace } = config
  const attempt = async (name: string, work: () => Promise<unknown>): Promise<Check> => {
    try {
      await work()
      return { name, ok: true }
    } catch (error) {
      return { name, ok: false, message: toMessage(error) }
    }
  }
  return await Promise.all([
    attempt('model_route', async () => {
      const result = await probeRoute(route, { timeoutMs: PROBE_TIMEOUT_MS, signal })
      if (!result.ok) throw new RunnerError(result.code, result.message)
    }),
    attempt('claude_code', () => findClaude({ env, wrappersDirectory, signal })),
    attempt('home', () => probeHome(env)),
    attempt('state', () => access(stateDirectory, constants.W_OK)),
    attempt('workspace', () => access(workspace, constants.W_OK)),
  ])
}

function describeRoute(route: ModelRoute, permissionMode: string): Record<string, unknown> {
  const { kind, reason, baseUrl, proxyUrl, caFile } = route
  return { kind, reason, baseUrl, proxyUrl, caFile, permissionMode }
}

/** Starts the sandbox's own thread ahead of its first prompt; a failure is told again by the run. */
function warmUp(sessions: Sessions, sessionId: string, logger: Logger): void {
  sessions
    .open(sessionId)
    .warm()
    .catch((error: unknown) => logger.warn({ reason: toMessage(error) }, 'the session could not be warmed'))
}

function urlOf(address: string | AddressInfo | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}
