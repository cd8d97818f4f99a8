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
  /** Path of the wrapper, which finds the model route and then becomes the binary. */
  executable: string
  model: string | undefined
  permissionMode: PermissionMode
  settingSources: readonly ('user' | 'project' | 'local')[]
  /** The configured servers. None is taken from the workspace. */
  mcpServers: Record<string, McpServerConfig>
  overrides: SdkOverrides
  sessionConfig: SessionConfig | undefined
  /** The paths that the policy denies to the tools. Claude Code gets them too. */
  denied: DeniedPaths
}

/** The Claude session to resume, or the id of the new session. */
type Conversation = { resume: string; resumeSessionAt?: string } | { sessionId: string }

export interface StartOptions {
  gate: RunGateOptions
  conversation: Conversation
  place: ClaudePlace
  /** Whether the session's recorded system prompt says the same as a new one would. */
  isHeard: boolean
  /** The complete environment of the wrapper. */
  env: Record<string, string>
  canUseTool: CanUseTool
  onElicitation: OnElicitation
  permissionMode: Options['permissionMode']
  servers: Record<string, McpServerConfig>
  /** Switches that Claude Code accepts only at its start. */
  switches: Options
}

/**
 * Settings that stop Claude Code from asking the model while no run is in progress, and from taking in words of other
 * threads. The automatic memory is one of them: all sessions of a directory share it and have it in their system
 * prompts. These are not managed settings, because Claude Code silently drops most names from those, among them
 * `crossSessionInbound`.
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

/** Returns the SDK's options for one process (claude-code.md section 0). Never `--bare`, which leaves three tools. */
export function sdkOptions(launch: LaunchOptions, start: StartOptions): Options {
  // The thinking budget is a switch of each run.
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
    // The servers are not on the command line, where other users could read their environment.
    mcpServersDelivery: 'initialize',
    settings: { skipWebFetchPreflight: true, ...STRANGERS },
    managedSettings: managedSettings(denied, { isConfined: launch.permissionMode === 'never-ask' }),
    hooks: { ...gate, PreToolUse: [...gate.PreToolUse, ...toolGuard(denied, place.directory)] },
    includePartialMessages: true,
    // For the deployer's hooks. Claude Code sends no events of the SDK's own hooks.
    includeHookEvents: true,
    forwardSubagentText: true,
    tools: offeredTools(overrides.allowedTools ?? []),
    mcpServers: { ...launch.mcpServers, ...start.servers },
    onElicitation: start.onElicitation,
    ...permissionOptions(start),
    ...start.switches,
  }
}

/** Returns the text that is added to Claude Code's own system prompt. Undefined when there is none. */
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

/** Returns the denied paths. The session configuration and its plugin can be read but not written. */
function deniedPaths({ denied, sessionConfig }: LaunchOptions): DeniedPaths {
  if (sessionConfig === undefined) return denied
  const { directory, plugin } = sessionConfig
  return { ...denied, write: [...denied.write, directory, ...(plugin === undefined ? [] : [plugin])] }
}

/** Without `canUseTool` Claude Code asks no questions either: an autonomous session must not stall on a question. */
function permissionOptions({ permissionMode, canUseTool }: StartOptions): Options {
  return permissionMode === 'bypassPermissions'
    ? { permissionMode, allowDangerouslySkipPermissions: true }
    : { permissionMode: permissionMode ?? 'default', canUseTool }
}
