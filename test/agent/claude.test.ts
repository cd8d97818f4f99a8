import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ClaudeAgent } from '../../src/claude/claude-agent.ts'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import { childEnvironment } from '../../src/model-route/environment.ts'
import { detectRoute, wrapperPath } from '../../src/model-route/route.ts'
import { agentContract, contractScript, WEATHER } from '../support/agent-contract.ts'

const WRAPPERS = new URL('../../wrappers', import.meta.url).pathname

agentContract('Claude Code', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agui-agent-test-'))
  const [workspace, home] = [join(directory, 'workspace'), join(directory, 'home')]
  for (const folder of [workspace, home]) mkdirSync(folder)
  // Claude Code names the tools of a server by the server.
  const digest = createHash('sha256')
    .update(JSON.stringify([WEATHER]))
    .digest('hex')
    .slice(0, 8)
  const script = contractScript(`mcp__ui_${digest}__weather`)
  const gateway = await startMockGateway({ directory: join(directory, 'gateway'), script })
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    TMPDIR: directory,
    CLAUDE_CONFIG_DIR: join(directory, 'claude'),
    ...gateway.environment,
  }
  const signal = AbortSignal.timeout(30_000)
  const { kind } = await detectRoute({ env, wrappersDirectory: WRAPPERS, signal })
  const agent = new ClaudeAgent({
    executable: wrapperPath(env, WRAPPERS),
    env: childEnvironment(env, {
      routeKind: kind,
      retriesMax: 0,
      apiTimeoutMs: 60_000,
      streamHoldMs: 0,
      isSandboxed: false,
      alsoPass: [],
    }),
    workspace,
    mark: `contract-${directory}`,
    model: undefined,
    permissionMode: 'ask',
    settingSources: [],
    mcpServers: {},
    overrides: {},
    sessionConfig: undefined,
    denied: { read: [], write: [] },
    slashCommands: false,
    processesMax: 2,
    startTimeoutMs: 60_000,
    controlTimeoutMs: 30_000,
    stopStepMs: 2000,
    idleMs: 600_000,
    interruptGraceMs: 5000,
    interruptExpiresMs: 0,
    inside: undefined,
    transcripts: undefined,
    workspaceId: undefined,
    place: async () => ({
      directory: workspace,
      additionalDirectories: [],
      instructions: undefined,
      key: '',
      problems: [],
    }),
    prepared: async () => undefined,
    beforeStart: async () => undefined,
  })
  return {
    agent,
    openGate: (name) => gateway.open(name),
    async close() {
      await agent.binary.close()
      await gateway.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
})
