import { randomUUID } from 'node:crypto'
import { access, constants } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import type { RunAgentInput } from '@ag-ui/core'
import type { RunEnd } from '../agent/agent.ts'
import { capabilitiesOf } from '../agui/capabilities.ts'
import { inBackground } from '../background.ts'
import { ClaudeAgent } from '../claude/agent.ts'
import { probeHome } from '../claude/launch/home.ts'
import { loadMcpConfig, type McpConfig } from '../claude/launch/mcp-config.ts'
import { decidePermissionMode } from '../claude/launch/permission-mode.ts'
import { parseSdkOverrides } from '../claude/launch/sdk-overrides.ts'
import type { Config, Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { LivingAgent } from '../http/platform/living-threads.ts'
import { openPlatform } from '../http/platform/open-platform.ts'
import type { Check } from '../http/routes/health.ts'
import { buildServer } from '../http/server.ts'
import { Subscribers } from '../http/stream/subscribers.ts'
import { childEnvironment } from '../model-route/environment.ts'
import { detectRoute, findClaude, type ModelRoute, wrapperPath } from '../model-route/route.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import { createRedactor, type Redactor } from '../redaction/redactor.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import { isConfining } from '../sandbox/report.ts'
import { startEnforcement } from '../sandbox/start.ts'
import type { EventLog } from '../storage/event-log.ts'
import { Blobs } from '../storage/lmdb/blobs.ts'
import { BATCHES, LmdbEventLog } from '../storage/lmdb/lmdb-event-log.ts'
import type { Store } from '../storage/lmdb/store.ts'
import { type Logger, redactLines } from '../telemetry/logger.ts'
import type { MetricSources, Metrics } from '../telemetry/metrics.ts'
import { logRuns } from '../telemetry/run-log.ts'
import type { Threads } from '../thread/threads.ts'
import type { ThreadState } from '../thread/told.ts'
import type { TaskOutputPlaces } from '../workspace/task-output.ts'
import type { Workspace } from '../workspace/workspace.ts'
import { enforcementCheck } from './enforcement.ts'
import { checkState, clearPlace, openStore } from './state.ts'
import type { StateFolder } from './state-folder.ts'
import { openThreads } from './threads.ts'
import {
  loadSessionConfig,
  prepareWorkspace,
  startupPromptOf,
  urlCredentials,
  workspaceChecks,
} from './workspace.ts'

export interface RunnerOptions {
  config: Config
  version: string
  /** What the model route is found in and Claude Code's environment is taken from. */
  env: Env
  logger: Logger
  stateFolder: StateFolder
  /** The route leads to our own mock: nothing real is behind it. */
  isMock: boolean
  /** A run has ended, its terminal event committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}

export interface Runner {
  /** Serves; resolves with the address. */
  listen(): Promise<string>
  /** Admits a run that no client has sent. */
  submit(input: RunAgentInput): Promise<unknown>
  stateOf(threadId: string): Promise<ThreadState | undefined>
  /** What the environment's workflow has to say first, when it is there; waits for the workspace until `signal`. */
  startupPrompt(signal: AbortSignal): Promise<string | undefined>
  /** Why the model route does not answer; `undefined` when it does. */
  routeProblem(signal: AbortSignal): Promise<string | undefined>
  /** Ends runs and processes, then the server. Idempotent; bounded by SHUTDOWN_GRACE_MS. */
  close(): Promise<void>
}

const PROBE_TIMEOUT_MS = 10_000
/** What a client has for taking the last bytes when the runner stops. */
const DRAIN_MS = 1000

/** The composition root: every object, wired by hand. */
export async function createRunner(options: RunnerOptions): Promise<Runner> {
  const { config, env, logger } = options
  const { limits } = config
  const redactor = openRedactor(options)
  const signal = AbortSignal.timeout(limits.claudeStartTimeoutMs)
  const route = await detectRoute({ env, wrappersDirectory: config.wrappersDirectory, signal })
  const mark = await clearPlace(config)

  const enforcement = await openEnforcement(options, route, signal)
  const isEnforced = isConfining(enforcement.report)
  const store = openStore(config, logger)
  const log = new LmdbEventLog({ store, retentionBytes: limits.logRetentionBytes })
  const permissionMode = decidePermissionMode(config.permissionMode, { ...options, isEnforced })
  logger.info(describeRoute(route, permissionMode), 'model route')
  const mcp = await loadMcpConfig(config.mcpConfigFile)
  const workspace = await prepareWorkspace({ ...options, store })
  const agent = await createAgent(options, { route, permissionMode, mark, mcp, enforcement, workspace })
  const blobs = new Blobs({ store, retentionBytes: limits.logRetentionBytes })
  const threads = openThreads({ ...options, ...limits, enforcement, redactor, agent, log, blobs, store })
  await threads.recover()
  const stopRunLog = logRuns(logger)
  const serverLogger = logger.child({})
  const app = await buildServer({
    ...config,
    ...limits,
    logger: serverLogger,
    redactor,
    log,
    threads,
    blobs,
    subscribers: new Subscribers({ ...limits, log, keepaliveMs: limits.sseKeepaliveMs }),
    checks: (stop) => runChecks(options, { route, enforcement, redactor, workspace, store, agent }, stop),
    metrics: async () => (await count()).read(),
    capabilities: describeCapabilities(options, { isAsking: permissionMode !== 'never-ask', isEnforced }),
    platform: openPlatform({
      ...config,
      ...limits,
      workspace,
      log,
      threads,
      redactor,
      living: livingAgent(threads),
      outputPlaces: taskOutputPlaces(options, enforcement),
    }),
  })
  const count = startOnce(() => metricSources({ enforcement, threads, log, store }))
  let closing: Promise<void> | undefined
  return {
    async listen() {
      // Fastify would announce itself, and once per address; the one line that says so is ours.
      serverLogger.level = 'warn'
      await app.listen({ host: config.host, port: config.port })
      serverLogger.level = logger.level
      // Before the first run; not before the first client.
      await count()
      threads.resume()
      inBackground({ name: 'setting the workspace up' }, workspace.setup.start())
      if (config.sessionId !== undefined) warmUp(threads, config.sessionId, logger)
      return urlOf(app.server.address(), config.host)
    },
    submit: (input) => threads.submit(input),
    startupPrompt: (untilSignal) => startupPromptOf(workspace, config, untilSignal),
    stateOf: async (threadId) => (await threads.find(threadId))?.describe().state,
    routeProblem: (probeSignal) => routeProblem(route, probeSignal),
    close() {
      closing ??= (async () => {
        await Promise.all([workspace.setup.close(), agent.binary.close(), threads.close()])
        // Ends the readers behind the last record, so that every stream has a clean end before its socket goes.
        await log.close()
        const late = setTimeout(() => app.server.closeAllConnections(), DRAIN_MS)
        await app.close()
        clearTimeout(late)
        await count().then((metrics) => metrics.close())
        await store.close()
        await enforcement.close()
        stopRunLog()
      })()
      return closing
    },
  }
}

/** Knows what the runner was given; from here on the logger holds nothing of it. */
function openRedactor({ config, env, logger }: RunnerOptions): Redactor {
  const files = config.mcpConfigFile === undefined ? [] : [config.mcpConfigFile]
  const redactor = createRedactor({ values: readKnownSecrets({ ...env, ...urlCredentials(config) }, files) })
  redactLines(logger, redactor.redactText)
  return redactor
}

function describeCapabilities(
  { config, version }: RunnerOptions,
  { isAsking, isEnforced }: { isAsking: boolean; isEnforced: boolean },
): ReturnType<typeof capabilitiesOf> {
  const { model, sessionId } = config
  const maxExecutionTimeMs = config.limits.runTimeoutMs
  return capabilitiesOf({ version, model, sessionId, isAsking, isSandboxed: isEnforced, maxExecutionTimeMs })
}

interface AgentFacts {
  route: ModelRoute
  mcp: McpConfig
  permissionMode: ReturnType<typeof decidePermissionMode>
  mark: string
  enforcement: Enforcement
  workspace: Workspace
}

function openEnforcement(
  { config, env, logger }: RunnerOptions,
  route: ModelRoute,
  signal: AbortSignal,
): Promise<Enforcement> {
  const { wrappersDirectory } = config
  return startEnforcement({
    ...config,
    mode: config.policyEnforcement,
    env,
    claudeState: claudeState({ config, env }),
    modelUrl: route.baseUrl ?? undefined,
    findClaude: () => findClaude({ env, wrappersDirectory, signal }),
    logger,
  })
}

function claudeState({ config, env }: Pick<RunnerOptions, 'config' | 'env'>): string {
  return env['CLAUDE_CONFIG_DIR'] ?? `${config.stateDirectory}/claude`
}

async function createAgent(
  { config, env, logger }: RunnerOptions,
  { route, permissionMode, mark, mcp, enforcement, workspace }: AgentFacts,
): Promise<ClaudeAgent> {
  for (const note of mcp.notes) logger.warn({ file: config.mcpConfigFile }, note)
  const { limits } = config
  const state = claudeState({ config, env })
  const claudeEnv = childEnvironment(
    { ...env, CLAUDE_CONFIG_DIR: state },
    {
      routeKind: route.kind,
      retriesMax: limits.claudeRetriesMax,
      apiTimeoutMs: limits.claudeApiTimeoutMs,
      streamHoldMs: limits.deltaCoalesceMs,
      isSandboxed: permissionMode === 'never-ask',
      alsoPass: mcp.variables,
    },
  )
  const agent = new ClaudeAgent({
    ...config,
    executable: wrapperPath(env, config.wrappersDirectory),
    permissionMode,
    mcpServers: mcp.servers,
    overrides: parseSdkOverrides(config.sdkOptions),
    sessionConfig: await loadSessionConfig(config, `${state}/agui-runner-session-config`, logger),
    env: claudeEnv,
    mark: `${mark}:${randomUUID()}`,
    processesMax: limits.claudeProcessesMax,
    startTimeoutMs: limits.claudeStartTimeoutMs,
    controlTimeoutMs: limits.claudeControlTimeoutMs,
    idleMs: limits.claudeIdleMs,
    interruptGraceMs: limits.interruptGraceMs,
    interruptExpiresMs: limits.interruptExpiresMs,
    denied: enforcement.denied,
    spawn: (request) => enforcement.spawn(request),
    place: (stay) => workspace.place.current(stay),
    prepared: (signal) => workspace.setup.finished(signal),
    async beforeStart() {
      await workspace.setup.start()
      if (route.kind === 'none') throw new RunnerError('no_model_route', NO_ROUTE)
      await probeHome(claudeEnv)
    },
  })
  const warn = (error: unknown): void => logger.warn({ reason: toMessage(error) }, 'no run will work')
  agent.binary.check().catch(warn)
  return agent
}

async function routeProblem(route: ModelRoute, signal: AbortSignal): Promise<string | undefined> {
  const { probeRoute } = await import('../model-route/probe.ts')
  const result = await probeRoute(route, { timeoutMs: PROBE_TIMEOUT_MS, signal })
  return result.ok ? undefined : result.message
}

/** What only the processes that live can tell or do. */
function livingAgent(threads: Threads): LivingAgent {
  return {
    mcpServers: async (id, signal) =>
      (await (await threads.find(id))?.toolServers(signal))?.map((server) => ({ ...server })),
    stopTask: async (id, taskId, signal) =>
      (await (await threads.find(id))?.stopTask(taskId, signal)) ?? false,
  }
}

interface Counted {
  enforcement: Enforcement
  threads: Threads
  log: EventLog
  store: Store
}

function metricSources({ enforcement, threads, log, store }: Counted): MetricSources {
  const queues = (): number[] => threads.list().map(({ queue }) => queue.length)
  return {
    threads() {
      const counts: Record<ThreadState, number> = { idle: 0, running: 0, interrupted: 0, failed: 0 }
      for (const { state } of threads.list()) counts[state] += 1
      return counts
    },
    queued: () => ({
      total: queues().reduce((sum, length) => sum + length, 0),
      longest: Math.max(0, ...queues()),
    }),
    warm: () => threads.list().filter(({ warm }) => warm).length,
    lags: () => log.lags(),
    logBytes: () => store.usedBytes(BATCHES),
    egress: () => enforcement.counts,
  }
}

/** The metrics with the first call: they are loaded when the server listens, not before. */
function startOnce(sources: () => MetricSources): () => Promise<Metrics> {
  let metrics: Promise<Metrics> | undefined
  return () => {
    metrics ??= import('../telemetry/metrics.ts').then(({ openMetrics }) => openMetrics(sources()))
    return metrics
  }
}

/** Where Claude Code, with the environment it gets, writes what tasks say. */
function taskOutputPlaces({ config, env }: RunnerOptions, { inside }: Enforcement): TaskOutputPlaces {
  const uid = inside?.uid ?? process.getuid?.() ?? -1
  const temporary = inside?.temporary ?? env['CLAUDE_CODE_TMPDIR'] ?? env['TMPDIR'] ?? '/tmp'
  return {
    temporary: `${temporary}/claude-${uid}`,
    transcripts: `${claudeState({ config, env })}/projects`,
    uid,
  }
}

const NO_ROUTE =
  'There is no way to a model: set ACP_OPENSHELL_INFERENCE, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY or another route, or start with --mock.'

interface CheckedParts {
  redactor: Redactor
  store: Store
  agent: ClaudeAgent
}

/** What a run needs, each tried; the answers of /ready. */
async function runChecks(
  { config, env, stateFolder }: RunnerOptions,
  facts: Pick<AgentFacts, 'route' | 'enforcement' | 'workspace'> & CheckedParts,
  signal: AbortSignal,
): Promise<Check[]> {
  const { route, enforcement, redactor, workspace, store, agent } = facts
  const attempt = async (name: string, work: () => Promise<unknown>): Promise<Check> => {
    try {
      await work()
      return { name, ok: true }
    } catch (error) {
      return { name, ok: false, message: redactor.redactText(toMessage(error)) }
    }
  }
  return await Promise.all([
    attempt('model_route', async () => {
      // With the first question, not with the server: undici is a fifth of its start.
      const { probeRoute } = await import('../model-route/probe.ts')
      const result = await probeRoute(route, { timeoutMs: PROBE_TIMEOUT_MS, signal })
      if (!result.ok) throw new RunnerError(result.code, result.message)
    }),
    attempt('claude_code', () => findClaude({ ...config, env, signal }).then(() => agent.binary.check())),
    attempt('home', () => probeHome(env)),
    attempt('state', async () => {
      await stateFolder.check()
      await checkState(config, store)
    }),
    attempt('workspace', () => access(config.workspace, constants.W_OK)),
    Promise.resolve(enforcementCheck(enforcement, redactor.redactText)),
    ...workspaceChecks(workspace, redactor.redactText).map((check) => Promise.resolve(check)),
  ])
}

function describeRoute(route: ModelRoute, permissionMode: string): Record<string, unknown> {
  const { kind, reason, baseUrl, proxyUrl, caFile } = route
  return { kind, reason, baseUrl, proxyUrl, caFile, permissionMode }
}

/** Starts the sandbox's own thread ahead of its first prompt; a failure is told again by the run. */
function warmUp(threads: Threads, sessionId: string, logger: Logger): void {
  threads
    .warm(sessionId)
    .catch((error: unknown) => logger.warn({ reason: toMessage(error) }, 'the session could not be warmed'))
}

function urlOf(address: string | AddressInfo | null, host: string): string {
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return `http://${host.includes(':') && !host.startsWith('[') ? `[${host}]` : host}:${port}`
}
