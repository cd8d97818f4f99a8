import type { EventLog } from '../log/event-log.ts'
import type { Sessions } from '../session/sessions.ts'
import { TaskLedger } from '../session/task-ledger.ts'
import { WorkspaceFiles } from '../workspace/files.ts'
import { Git, type GitEnv } from '../workspace/git.ts'
import { WorkspaceGuard } from '../workspace/guard.ts'
import { Repositories } from '../workspace/repositories.ts'
import type { GitProtocol, TokenHosts } from '../workspace/repository-url.ts'
import type { TaskOutputPlaces } from '../workspace/task-output.ts'
import { Workflows } from '../workspace/workflows.ts'
import type { PlatformRoutesOptions } from './routes/platform/platform.ts'
import { type LivingAgent, SessionFacts } from './session-facts.ts'

export interface PlatformOptions {
  /** There already. */
  workspace: string
  sessions: Sessions
  log: EventLog
  sessionId: string | undefined
  /** git takes the way out from it, nothing else. */
  env: GitEnv
  living: LivingAgent
  outputPlaces: TaskOutputPlaces
  tokenHosts: TokenHosts
  fileBytesMax: number
}

const PROTOCOLS: readonly GitProtocol[] = ['https', 'http']
/** A clone of something large over a slow line; a hang is not waited for. */
const GIT_TIMEOUT_MS = 300_000

/** What the platform's routes work on. */
export async function openPlatform(options: PlatformOptions): Promise<PlatformRoutesOptions> {
  const { env, tokenHosts, sessions, log, living, sessionId, fileBytesMax } = options
  const guard = await WorkspaceGuard.open(options.workspace)
  const files = new WorkspaceFiles(guard)
  const git = new Git({ env, protocols: PROTOCOLS, timeoutMs: GIT_TIMEOUT_MS })
  const repositories = new Repositories({ git, files, tokenHosts })
  const workflows = new Workflows({ repositories, files, protocols: PROTOCOLS })
  const ledger = new TaskLedger(log)
  const places = options.outputPlaces
  const facts = new SessionFacts({ sessions, ledger, living, places, sessionId })
  return { guard, files, repositories, workflows, facts, fileBytesMax }
}
