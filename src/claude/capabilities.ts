import type { AgentCapabilities } from '@ag-ui/core'

export interface CapabilityFacts {
  version: string
  model: string | undefined
  sessionId: string | undefined
  /** Whether interrupts can occur at all. Claude Code never asks in some permission modes. */
  isAsking: boolean
  /** Whether the kernel or OpenShell enforces the policy on the tools. */
  isSandboxed: boolean
  maxExecutionTimeMs: number
  /** Whether this process has the workspace and the agent's processes. */
  isWorking: boolean
}

/** AG-UI's shape, and the fields that the existing platform reads beside it (openshell.md 6.6). */
export type Capabilities = AgentCapabilities & Record<string, unknown>

/**
 * Returns what this runner does, and no more (agui-1.0-producer.md A13). Each flag names the test that proves it in
 * test/e2e/capabilities.test.ts. `transport.resumable` is not declared: AG-UI 1.0 defines no such mechanism, and ours
 * is `GET /sessions/:id/events`.
 */
export function capabilitiesOf(facts: CapabilityFacts): Capabilities {
  const { version, model, sessionId, isAsking, isSandboxed, maxExecutionTimeMs, isWorking } = facts
  const limit = maxExecutionTimeMs === 0 ? {} : { maxExecutionTime: maxExecutionTimeMs }
  return {
    identity: { name: 'agui-runner', type: 'claude-code', provider: 'anthropic', version },
    transport: { streaming: true, websocket: true, httpBinary: true },
    tools: { supported: true, parallelCalls: true, clientProvided: true },
    output: { structuredOutput: true },
    state: { snapshots: true, deltas: false },
    multiAgent: { supported: true, delegation: true, handoffs: false },
    reasoning: { supported: true, streaming: true, encrypted: true },
    multimodal: { input: { image: true, pdf: true, audio: false, video: false } },
    execution: { codeExecution: true, sandboxed: isSandboxed, ...limit },
    humanInTheLoop: {
      supported: true,
      approvals: isAsking,
      interrupts: isAsking,
      approveWithEdits: isAsking,
      interventions: true,
      feedback: true,
    },
    framework: 'claude-agent-sdk',
    agent_features: [
      'streaming',
      'reasoning',
      'tools',
      'client_tools',
      'subagents',
      'interrupts',
      'structured_output',
    ],
    platform_features: isWorking ? ['content', 'repos', 'workflow', 'tasks', 'feedback', 'mcp_status'] : [],
    file_system: isWorking,
    mcp: isWorking,
    tracing: null,
    session_persistence: true,
    model: model ?? null,
    session_id: sessionId ?? null,
  }
}
