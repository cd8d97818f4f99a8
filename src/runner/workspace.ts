import { openSessionConfig, type SessionConfig } from '../claude/launch/session-config.ts'
import type { Config, Env } from '../config.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import { openWorkspace, type Workspace } from '../workspace/workspace.ts'
import type { Said } from './checks.ts'

interface WorkspaceNeeds {
  config: Config
  env: Env
  logger: Logger
  storage: Storage
}

/** The workspace with what the environment names on its way into it. */
export async function prepareWorkspace({ config, env, logger, storage }: WorkspaceNeeds): Promise<Workspace> {
  const { limits, tokenHosts, repositories, workflow, repositoryTokens } = config
  const key = ['workflow'] as const
  return await openWorkspace({
    directory: config.workspace,
    env,
    tokenHosts,
    wanted: { repositories, workflow, tokens: repositoryTokens },
    timeoutMs: limits.workspaceSetupTimeoutMs,
    retriesMax: limits.claudeRetriesMax,
    retryDelayMs: limits.connectRetryDelayMs,
    memory: {
      saved: await storage.tables.workspace.get(key),
      save: async (value) => {
        await storage.commit({ threadId: 'workspace', writes: [{ table: 'workspace', key, value }] })
      },
    },
    onDone: (facts) => logger.info(facts, 'in the workspace'),
    onProblem: ({ what, message }) => logger.warn({ what, reason: message }, 'not in the workspace'),
  })
}

/** What waits for the workspace, or lacks something of it. A run works all the same, so only waiting is a failure. */
export function checkSetup({ setup }: Workspace): Said {
  if (!setup.isDone) throw new Error('repositories and workflow are being fetched')
  return { says: setup.problems.map(({ what, message }) => `${what}: ${message}`).join('; ') }
}

/** The start-up prompt of the environment's workflow, when that is the active one; waits until it is there. */
export async function startupPromptOf(
  { setup, workflows }: Workspace,
  { workflow }: Config,
  signal: AbortSignal,
): Promise<string | undefined> {
  await setup.finished(signal)
  return workflow !== undefined && workflows.isActive(workflow) ? workflows.active?.startupPrompt : undefined
}

/** By names that say what they are, as the environment would have them. */
export function urlCredentials({ repositories, workflow }: Config): Record<string, string> {
  const urls = [...repositories.map(({ url }) => url), ...(workflow === undefined ? [] : [workflow.gitUrl])]
  return Object.fromEntries(
    urls.flatMap((url, index) => {
      const { username, password } = new URL(url)
      const secret = password === '' ? username : password
      return [
        [`REPOSITORY_${index}_TOKEN`, decoded(secret)],
        [`REPOSITORY_${index}_ENCODED_TOKEN`, secret],
      ].filter(([, value]) => value !== '')
    }),
  )
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    // A lone percent sign: it was meant as it stands.
    return text
  }
}

/** Undefined when none is named, or it is of no use: then the log says why. */
export async function loadSessionConfig(
  { sessionConfigPath }: Config,
  pluginDirectory: string,
  logger: Logger,
): Promise<SessionConfig | undefined> {
  if (sessionConfigPath === undefined) return undefined
  const opened = await openSessionConfig(sessionConfigPath, pluginDirectory)
  if (!('problem' in opened)) return opened
  logger.warn({ reason: opened.problem, path: sessionConfigPath }, 'SESSION_CONFIG_PATH is not used')
  return undefined
}
