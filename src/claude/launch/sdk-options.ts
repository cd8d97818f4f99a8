import type { CanUseTool, McpServerConfig, OnElicitation, Options } from '@anthropic-ai/claude-agent-sdk'
import { offeredTools } from './builtin-tools.ts'
import { type DeniedPaths, managedSettings } from './managed-settings.ts'
import type { ClaudePlace } from './place.ts'
import { type RunGateOptions, runGate } from './run-gate.ts'
import type { SdkOverrides } from './sdk-overrides.ts'
import type { SessionConfig } from './session-config.ts'
import { toolGuard } from './tool-guard.ts'

export type PermissionMode = 'never-ask' | 'accept-edits' | 'ask'

export interface LaunchOptions {
  /** The wrapper; it finds the model route and becomes the binary. */
  executable: string
  model: string | undefined
  permissionMode: PermissionMode
  settingSources: readonly ('user' | 'project' | 'local')[]
  /** The configured ones; none is taken from the workspace. */
  mcpServers: Record<string, McpServerConfig>
  overrides: SdkOverrides
  sessionConfig: SessionConfig | undefined
  /** What the policy keeps from the tools; Claude Code gets it too. */
  denied: DeniedPaths
}

/** The Claude session to go on with, or the id a new one is to have. */
type Conversation = { resume: string; resumeSessionAt?: string } | { sessionId: string }

export interface StartOptions {
  gate: RunGateOptions
  conversation: Conversation
  place: ClaudePlace
  /** Whether the session's recorded system prompt says what a new one would. */
  isHeard: boolean
  /** The complete environment of the wrapper. */
  env: Record<string, string>
  canUseTool: CanUseTool
  onElicitation: OnElicitation
  permissionMode: Options['permissionMode']
  servers: Record<string, McpServerConfig>
  /** Switches that Claude Code takes only at its start. */
  switches: Options
}

/**
 * What makes Claude Code ask the model when no run is under way, or take words in that are not of its own thread: the
 * automatic memory is one for all sessions of a directory, and stands in their system prompts. Said here and not in the managed
 * settings: of those Claude Code keeps only some names, `crossSessionInbound` not among them, and drops the others
 * without a word.
 */
const STRANGERS = {
  crossSessionInbound: 'refuse',
  disableWorkflows: true,
  disableAgentView: true,
  disableRemoteControl: true,
  autoMemoryEnabled: false,
  autoDreamEnabled: false,
  idleCompaction: false,
  precomputeCompactionEnabled: false,
  promptSuggestionEnabled: false,
} as const satisfies Exclude<Options['settings'], string | undefined>

/** How Claude Code is asked for (claude-code.md section 0). `--bare` is never used: it leaves three tools. */
export function sdkOptions(launch: LaunchOptions, start: StartOptions): Options {
  // The budget is a switch of each run.
  const { appendSystemPrompt: _, maxThinkingTokens: __, ...overrides } = launch.overrides
  const { place, isHeard } = start
  const instructions = instructionsOf(launch, place)
  const append = instructions === undefined ? {} : { append: instructions }
  const denied = deniedPaths(launch)
  const { model } = launch
  const gate = runGate(start.gate)
  return {
    ...start.conversation,
    pathToClaudeCodeExecutable: launch.executable,
    cwd: place.directory,
    ...directoryOptions(launch, place),
    env: start.env,
    ...overrides,
    ...(model === undefined ? {} : { model }),
    systemPrompt: {
      type: 'preset',
      preset: 'claude_code',
      ...append,
      ...(isHeard ? {} : { snapshot: false }),
    },
    // A workspace's settings can redirect model traffic and start programs (claude-code.md 7.3).
    settingSources: [...launch.settingSources],
    strictMcpConfig: true,
    // Not on the command line, where other users could read their environment.
    mcpServersDelivery: 'initialize',
    settings: { skipWebFetchPreflight: true, ...STRANGERS },
    managedSettings: managedSettings(denied, { isConfined: launch.permissionMode === 'never-ask' }),
    hooks: { ...gate, PreToolUse: [...gate.PreToolUse, ...toolGuard(denied, place.directory)] },
    includePartialMessages: true,
    // Of the deployer's hooks; those of the SDK are never sent.
    includeHookEvents: true,
    forwardSubagentText: true,
    tools: offeredTools(overrides.allowedTools ?? []),
    mcpServers: { ...launch.mcpServers, ...start.servers },
    onElicitation: start.onElicitation,
    ...permissionOptions(start),
    ...start.switches,
  }
}

/** What the system prompt is given beside Claude Code's own. */
export function instructionsOf(
  { overrides, sessionConfig }: Pick<LaunchOptions, 'overrides' | 'sessionConfig'>,
  place: ClaudePlace,
): string | undefined {
  const parts = [overrides.appendSystemPrompt, sessionConfig?.instructions, place.instructions]
  const words = parts.filter((part) => part !== undefined)
  return words.length === 0 ? undefined : words.join('\n\n')
}

function directoryOptions({ sessionConfig }: LaunchOptions, place: ClaudePlace): Options {
  const configured = sessionConfig === undefined ? [] : [sessionConfig.directory]
  const additionalDirectories = [...place.additionalDirectories, ...configured]
  const plugin = sessionConfig?.plugin
  return {
    ...(additionalDirectories.length === 0 ? {} : { additionalDirectories }),
    ...(plugin === undefined ? {} : { plugins: [{ type: 'local', path: plugin }], skills: 'all' }),
  }
}

/** The session configuration is there to be read. */
function deniedPaths({ denied, sessionConfig }: LaunchOptions): DeniedPaths {
  if (sessionConfig === undefined) return denied
  const { directory, plugin } = sessionConfig
  return { ...denied, write: [...denied.write, directory, ...(plugin === undefined ? [] : [plugin])] }
}

/** Without an asker Claude Code has no questions either: an autonomous session must not stall on one. */
function permissionOptions({ permissionMode, canUseTool }: StartOptions): Options {
  return permissionMode === 'bypassPermissions'
    ? { permissionMode, allowDangerouslySkipPermissions: true }
    : { permissionMode: permissionMode ?? 'default', canUseTool }
}
