import type { CanUseTool, McpServerConfig, Options } from '@anthropic-ai/claude-agent-sdk'
import { type DeniedPaths, managedSettings } from './managed-settings.ts'
import type { SdkOverrides } from './sdk-overrides.ts'
import { toolGuard } from './tool-guard.ts'

export type PermissionMode = 'never-ask' | 'accept-edits' | 'ask'

export interface LaunchOptions {
  /** The wrapper; it finds the model route and becomes the binary. */
  executable: string
  workspace: string
  model: string | undefined
  permissionMode: PermissionMode
  settingSources: readonly ('user' | 'project' | 'local')[]
  /** The configured ones; none is taken from the workspace. */
  mcpServers: Record<string, McpServerConfig>
  overrides: SdkOverrides
  /** What the policy keeps from the tools, told to Claude Code too. */
  denied: DeniedPaths
}

/** The Claude session to go on with, or the id a new one is to have. */
type Conversation = { resume: string } | { sessionId: string }

export interface StartOptions {
  conversation: Conversation
  /** The complete environment of the wrapper. */
  env: Record<string, string>
  canUseTool: CanUseTool
  permissionMode: Options['permissionMode']
  servers: Record<string, McpServerConfig>
  /** Switches that Claude Code takes only at its start. */
  switches: Options
}

/** Tools that start turns by themselves, with nobody having asked: there is no run such a turn could belong to. */
const SELF_STARTING_TOOLS = ['CronCreate', 'CronDelete', 'CronList', 'Monitor', 'ScheduleWakeup']

/** How Claude Code is asked for (claude-code.md section 0). `--bare` is never used: it leaves three tools. */
export function sdkOptions(launch: LaunchOptions, start: StartOptions): Options {
  const { appendSystemPrompt, disallowedTools = [], ...overrides } = launch.overrides
  const append = appendSystemPrompt === undefined ? {} : { append: appendSystemPrompt }
  const model = launch.model ?? overrides.model
  return {
    ...start.conversation,
    pathToClaudeCodeExecutable: launch.executable,
    cwd: launch.workspace,
    env: start.env,
    ...overrides,
    ...(model === undefined ? {} : { model }),
    systemPrompt: { type: 'preset', preset: 'claude_code', ...append },
    // A workspace's settings can redirect model traffic and start programs (claude-code.md 7.3).
    settingSources: [...launch.settingSources],
    strictMcpConfig: true,
    // Not on the command line, where other users could read their environment.
    mcpServersDelivery: 'initialize',
    settings: { skipWebFetchPreflight: true },
    managedSettings: managedSettings(launch.denied, { isConfined: launch.permissionMode === 'never-ask' }),
    hooks: { PreToolUse: toolGuard(launch.denied, launch.workspace) },
    includePartialMessages: true,
    forwardSubagentText: true,
    disallowedTools: [...SELF_STARTING_TOOLS, ...disallowedTools],
    mcpServers: { ...launch.mcpServers, ...start.servers },
    ...permissionOptions(start),
    ...start.switches,
  }
}

/** Without an asker Claude Code has no questions either: an autonomous session must not stall on one. */
function permissionOptions({ permissionMode, canUseTool }: StartOptions): Options {
  return permissionMode === 'bypassPermissions'
    ? { permissionMode, allowDangerouslySkipPermissions: true }
    : { permissionMode: permissionMode ?? 'default', canUseTool }
}
