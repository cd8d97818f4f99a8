import { randomUUID } from 'node:crypto'
import { ClaudeAgent } from '../claude/claude-agent.ts'
import { probeHome } from '../claude/launch/home.ts'
import { forgetRefusals, type McpConfig } from '../claude/launch/mcp-config.ts'
import type { PermissionMode } from '../claude/launch/sdk-options.ts'
import { parseSdkOverrides } from '../claude/launch/sdk-overrides.ts'
import type { Config, Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { childEnvironment } from '../model-route/environment.ts'
import { type ModelRoute, wrapperPath } from '../model-route/route.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import { PLATFORM_FOLDER, type Workspace } from '../workspace/workspace.ts'
import type { Credentials } from './credentials.ts'
import { loadSessionConfig } from './workspace.ts'

interface AgentPlace {
  config: Config
  env: Env
  alsoPass?: readonly string[]
  logger: Logger
}

interface AgentParts {
  route: ModelRoute
  credentials: Pick<Credentials, 'agentEnv' | 'agentRoute' | 'alsoPass'>
  permissionMode: PermissionMode
  /** The mark of every process that runners on this state folder start. */
  mark: string
  enforcement: Enforcement
  workspace: Workspace
  mcp: McpConfig
  storage: Storage
}

const NO_ROUTE =
  'There is no way to a model: set ACP_OPENSHELL_INFERENCE, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY or another route, or start with --mock.'

/** Creates the Claude agent. @throws {RunnerError} `config_invalid` when SDK_OPTIONS are malformed. */
export async function openAgent(
  { config, env, alsoPass = [], logger }: AgentPlace,
  { route, credentials, permissionMode, mark, enforcement, workspace, mcp, storage }: AgentParts,
): Promise<ClaudeAgent> {
  for (const note of mcp.notes) logger.warn({ file: config.mcpConfigFile }, note)
  const { limits } = config
  const state = config.claudeState
  const claudeEnv = childEnvironment(
    { ...credentials.agentEnv, CLAUDE_CONFIG_DIR: state },
    {
      routeKind: credentials.agentRoute,
      retriesMax: limits.claudeRetriesMax,
      apiTimeoutMs: limits.claudeApiTimeoutMs,
      streamHoldMs: limits.deltaCoalesceMs,
      isSandboxed: permissionMode === 'never-ask',
      alsoPass: [...mcp.variables, ...credentials.alsoPass, ...alsoPass],
    },
  )
  const place = { model: config.model, env: claudeEnv }
  const { overrides, unknown } = parseSdkOverrides(config.sdkOptions, place)
  if (unknown.length > 0)
    logger.warn({ keys: unknown }, 'SDK_OPTIONS: these are not set that way, and left out')
  const platformFolder = `${config.workspace}/${PLATFORM_FOLDER}`
  return new ClaudeAgent({
    model: config.model ?? overrides.model,
    settingSources: config.settingSources,
    slashCommands: config.slashCommands,
    workspace: config.workspace,
    executable: wrapperPath(env, config.wrappersDirectory),
    permissionMode,
    mcpServers: mcp.servers,
    overrides,
    sessionConfig: await loadSessionConfig(config, `${state}/agui-runner-session-config`, logger),
    env: claudeEnv,
    mark: `${mark}:${randomUUID()}`,
    processesMax: limits.claudeProcessesMax,
    startTimeoutMs: limits.claudeStartTimeoutMs,
    controlTimeoutMs: limits.claudeControlTimeoutMs,
    stopStepMs: limits.claudeStopStepMs,
    idleMs: limits.claudeIdleMs,
    interruptGraceMs: limits.interruptGraceMs,
    interruptExpiresMs: limits.interruptExpiresMs,
    denied: { ...enforcement.denied, read: [...enforcement.denied.read, platformFolder] },
    inside: enforcement.inside,
    prepareStart: () => enforcement.prepare(),
    async endLeftovers(child) {
      const count = await enforcement.endLeftovers(child)
      if (count > 0) logger.info({ count }, 'what commands left running ended with the run')
    },
    transcripts: storage.transcripts,
    workspaceId: storage.tenancy.runnerId,
    place: (stay) => workspace.place.current(stay),
    prepared: (signal) => workspace.setup.finished(signal),
    async beforeStart() {
      await workspace.setup.start()
      if (route.kind === 'none') throw new RunnerError('no_model_route', NO_ROUTE)
      await probeHome(claudeEnv)
      await forgetRefusals(state)
    },
  })
}

/**
 * Checks the Claude Code binary in the background, after the server's address is known. Starting a process blocks this
 * one for 10 ms, and the binary then occupies a processor.
 */
export function checkBinarySoon({ binary }: ClaudeAgent, logger: Logger): NodeJS.Immediate {
  const warn = (error: unknown): void => logger.warn({ reason: toMessage(error) }, 'no run will work')
  return setImmediate(() => binary.check().catch(warn))
}
