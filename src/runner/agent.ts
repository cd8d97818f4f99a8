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
import type { Workspace } from '../workspace/workspace.ts'
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
  /** Marks every process of the runners on this state folder. */
  mark: string
  enforcement: Enforcement
  workspace: Workspace
  mcp: McpConfig
  storage: Storage
}

const NO_ROUTE =
  'There is no way to a model: set ACP_OPENSHELL_INFERENCE, ANTHROPIC_BASE_URL, ANTHROPIC_API_KEY or another route, or start with --mock.'

/** @throws {RunnerError} `config_invalid`: SDK_OPTIONS are not what they should be. */
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
  const overrides = parseSdkOverrides(config.sdkOptions, { model: config.model, env: claudeEnv })
  const agent = new ClaudeAgent({
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
    idleMs: limits.claudeIdleMs,
    interruptGraceMs: limits.interruptGraceMs,
    interruptExpiresMs: limits.interruptExpiresMs,
    denied: enforcement.denied,
    inside: enforcement.inside,
    spawn: (request) => enforcement.spawn(request),
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
  const warn = (error: unknown): void => logger.warn({ reason: toMessage(error) }, 'no run will work')
  agent.binary.check().catch(warn)
  return agent
}
