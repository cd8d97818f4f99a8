import type { AgentCapabilities } from '@ag-ui/core'

/** What this runner does, no more (agui-1.0-producer.md A13). */
export const CAPABILITIES: AgentCapabilities & { framework: string } = {
  framework: 'claude-agent-sdk',
  identity: { name: 'agui-runner', type: 'claude-code', provider: 'anthropic' },
  transport: { streaming: true, httpBinary: true },
  tools: { supported: true, parallelCalls: true, clientProvided: false },
  output: { structuredOutput: false },
  state: { snapshots: false, deltas: false },
  multiAgent: { supported: true, subagents: [] },
  reasoning: { supported: true, streaming: true, encrypted: true },
  multimodal: { input: { image: true, pdf: true, file: false, audio: false, video: false } },
  execution: { codeExecution: true, sandboxed: false },
  humanInTheLoop: { supported: false },
}
