import { randomUUID } from 'node:crypto'
import { isDeepStrictEqual } from 'node:util'
import type { RunRequest } from '../agent/agent.ts'
import type { TraceCarrier } from '../agent/trace.ts'
import { inBackground } from '../background.ts'
import { policyDenied } from '../channels.ts'
import { unlessAborted } from '../within.ts'
import type { Host } from './host/host.ts'
import { type ClaudePlace, isHeard, originOf } from './launch/place.ts'
import type { RunGateOptions } from './launch/run-gate.ts'
import { instructionsOf, sdkOptions } from './launch/sdk-options.ts'
import { type Switches, startSwitches, switchEnvironment, toSdkMode } from './launch/switches.ts'
import { McpServers } from './mcp-servers.ts'
import type { Memory } from './memory.ts'
import type { ClaudeAgentOptions } from './options.ts'
import { ClaudeProcess, type ClaudeProcessOptions } from './process/process.ts'
import { mirrorOf } from './session-mirror.ts'
import { resumePoint } from './taken-back.ts'

/** A process, with the settings it was started with and those that were set since. */
export interface Warm {
  claude: ClaudeProcess
  host: Host
  mcp: McpServers
  place: ClaudePlace
  /** The settings that only a new process could change, as JSON. */
  startKey: string
  model: string | undefined
  thinkingTokens: number | undefined
  /** The variables by which its commands learn of their trace. */
  trace: Record<string, string>
}

/** The properties that a run needs of the process. */
export interface Needs {
  isResumed: boolean
  switches: Switches
  tools: RunRequest['tools']
  hasState: boolean
  /** Trace of the run. The MCP servers that the process starts keep the trace of the run that started it. */
  trace?: TraceCarrier | undefined
}

export function startKey(switches: Switches, place: ClaudePlace): string {
  return JSON.stringify([
    startSwitches(switches),
    switchEnvironment(switches),
    switches.permissionMode,
    place.key,
  ])
}

export interface WarmStart
  extends Pick<ClaudeProcessOptions, 'observed' | 'onDenied' | 'onMessage'>,
    Omit<RunGateOptions, 'onRefused'> {
  needs: Needs
  place: ClaudePlace
  host: Host
  threadId: string
}

/** Starts the process of a conversation. Restores a resumed session's files, or sets the origin of a new session. */
export async function startWarm(
  options: ClaudeAgentOptions,
  memory: Memory,
  { needs, place, host, threadId, observed, onDenied, onMessage, ...gate }: WarmStart,
): Promise<Warm> {
  const { isResumed, switches, tools, hasState, trace } = needs
  const { claudeSessionId } = memory
  const mirror = mirrorOf(options, threadId)
  const instructions = instructionsOf(options, place)
  if (isResumed) await mirror?.restore(claudeSessionId)
  else memory.origin = { ...originOf(place.directory, instructions), workspace: options.workspaceId }
  const servers = await host.offer(tools, hasState)
  const { model } = switches
  const variables = traceEnvironment(trace)
  const mcp = new McpServers()
  const claude = await ClaudeProcess.start({
    sdk: {
      ...mirror?.options,
      ...sdkOptions(
        { ...options, model },
        {
          gate: {
            ...gate,
            onRefused: (what) => policyDenied.publish({ ...observed(), by: 'runner', what }),
          },
          conversation: isResumed
            ? { resume: claudeSessionId, ...resumePoint(memory) }
            : { sessionId: claudeSessionId },
          place,
          isHeard: isHeard(memory.origin, instructions),
          env: { ...options.env, ...switchEnvironment(switches), ...variables },
          canUseTool: host.canUseTool,
          onElicitation: host.elicitations.onElicitation,
          permissionMode: toSdkMode(switches.permissionMode ?? options.permissionMode),
          servers: servers ?? {},
          switches: startSwitches(switches),
        },
      ),
    },
    mark: `${options.mark}:${randomUUID()}`,
    startTimeoutMs: options.startTimeoutMs,
    controlTimeoutMs: options.controlTimeoutMs,
    stopStepMs: options.stopStepMs,
    prepareStart: options.prepareStart,
    endLeftovers: options.endLeftovers,
    observed,
    ...(onDenied === undefined ? {} : { onDenied }),
    onMessage(heard) {
      host.clientTools.hear(heard.message)
      mcp.hear(heard.message)
      return onMessage(heard)
    },
  })
  const key = startKey(switches, place)
  return { claude, host, mcp, place, startKey: key, model, thinkingTokens: undefined, trace: variables }
}

/** Returns the trace as variables that Claude Code reads and passes to the commands and MCP servers that it starts. */
function traceEnvironment({ traceparent, tracestate }: TraceCarrier = {}): Record<string, string> {
  if (traceparent === undefined) return {}
  return { TRACEPARENT: traceparent, ...(tracestate !== undefined && { TRACESTATE: tracestate }) }
}

/**
 * Gives the commands that a living process starts from now on the trace of another run. Its MCP servers keep theirs.
 * Resolves also when Claude Code does not take it, which costs commands their parent and nothing else.
 */
export async function setTrace(
  warm: Warm,
  trace: TraceCarrier | undefined,
  { observed, signal }: { observed: { threadId: string; runId?: string }; signal: AbortSignal },
): Promise<void> {
  const variables = traceEnvironment(trace)
  if (isDeepStrictEqual(variables, warm.trace)) return
  // A variable that is no longer named would keep its value.
  const cleared = Object.fromEntries(Object.keys(warm.trace).map((name) => [name, '']))
  warm.trace = variables
  const setting = warm.claude.setVariables({ ...cleared, ...variables })
  inBackground({ name: 'handing on a trace', ...observed }, setting)
  await unlessAborted(signal, setting).catch(() => undefined)
}

/** Changes the settings of a living process. Sends only those that differ from its current ones. */
export async function setSwitches(
  warm: Warm,
  { model, maxThinkingTokens }: Switches,
  signal: AbortSignal,
): Promise<void> {
  if (model !== warm.model) {
    warm.model = model
    await warm.claude.setModel(model, signal)
  }
  if (maxThinkingTokens !== warm.thinkingTokens) {
    warm.thinkingTokens = maxThinkingTokens
    await warm.claude.setThinkingTokens(maxThinkingTokens ?? null, signal)
  }
}
