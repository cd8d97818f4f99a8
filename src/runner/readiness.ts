import type { ClaudeAgent } from '../claude/claude-agent.ts'
import type { McpConfig } from '../claude/launch/mcp-config.ts'
import type { Config, Env } from '../config.ts'
import type { Check } from '../http/routes/health.ts'
import type { ModelRoute } from '../model-route/route.ts'
import type { PlatformLink } from '../platform-link/platform-link.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import type { Storage } from '../storage/storage.ts'
import type { Workspace } from '../workspace/workspace.ts'
import {
  attempt,
  checkClaudePath,
  checkClaudeStarts,
  checkFolder,
  checkHome,
  checkModel,
  checkOf,
  sayMcpServers,
} from './checks.ts'
import type { Credentials } from './credentials.ts'
import { checkEnforcement } from './enforcement.ts'
import { sayLink } from './platform-link.ts'
import { checkState } from './state.ts'
import type { StateFolder } from './state-folder.ts'
import { checkSetup } from './workspace.ts'

interface Checked {
  config: Config
  env: Env
  stateFolder: StateFolder
  route: ModelRoute
  isMock: boolean
  credentials: Credentials
  enforcement: Enforcement
  redactor: Redactor
  workspace: Workspace
  storage: Storage
  agent: ClaudeAgent
  mcp: McpConfig
  link: PlatformLink | undefined
}

/** Returns the checks of `/ready`: each thing that a run needs is tried on the running runner. */
export function readinessOf(parts: Checked): (signal: AbortSignal) => Promise<Check[]> {
  const { config, env, stateFolder, route, isMock, credentials, enforcement } = parts
  const { redactor, workspace, storage, agent, mcp, link } = parts
  return async (signal) => {
    const findings = await Promise.all([
      attempt('model_route', async () => {
        const said = await checkModel(route, signal, credentials.through)
        return isMock ? { says: 'mock: no model answers; set ANTHROPIC_API_KEY or another route' } : said
      }),
      attempt('credentials', () => credentials.describe(enforcement.report)),
      attempt('claude_code', async () => {
        await checkClaudePath({ ...config, env }, signal)
        return await checkClaudeStarts(agent.binary)
      }),
      attempt('home', () => checkHome(env, config.claudeState)),
      attempt('state', async () => {
        await stateFolder.check()
        return await checkState(config, storage)
      }),
      attempt('workspace', () => checkFolder(config.workspace)),
      attempt('policy_enforcement', () => checkEnforcement(enforcement)),
      ...(config.mcpConfigFile === undefined ? [] : [attempt('mcp_servers', () => sayMcpServers(mcp))]),
      ...(link === undefined ? [] : [attempt('platform_link', () => sayLink(link))]),
      ...(workspace.setup.isWanted ? [attempt('workspace_setup', () => checkSetup(workspace))] : []),
    ])
    return findings.map((finding) => checkOf(finding, redactor))
  }
}
