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

/** Opens the workspace. Repositories and workflow of the environment are fetched later, by its `setup`. */
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

/** Reports the problems of the workspace's setup. Runs work despite them. @throws while the setup is in progress. */
export function checkSetup({ setup }: Workspace): Said {
  if (!setup.isDone) throw new Error('repositories and workflow are being fetched')
  return { says: setup.problems.map(({ what, message }) => `${what}: ${message}`).join('; ') }
}

/** Returns the start-up prompt of the environment's workflow if that one is active. Waits for the setup first. */
export async function startupPromptOf(
  { setup, workflows }: Workspace,
  { workflow }: Config,
  signal: AbortSignal,
): Promise<string | undefined> {
  await setup.finished(signal)
  return workflow !== undefined && workflows.isActive(workflow) ? workflows.active?.startupPrompt : undefined
}

/** Returns the credentials in the URLs of repositories, under names that mark them as secrets for the redactor. */
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
    // A lone percent sign is not an escape, so the text is meant literally.
    return text
  }
}

/** Returns undefined when no session config is named or when it cannot be used. The log has the reason. */
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
