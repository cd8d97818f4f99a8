import type { Redactor } from '../../redaction/redactor.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { Sessions } from '../../thread/sessions.ts'
import { TaskLedger } from '../../thread/task-ledger.ts'
import type { TaskOutputPlaces } from '../../workspace/task-output.ts'
import type { WorkflowSwitches } from '../../workspace/workflow-metadata.ts'
import type { Workspace } from '../../workspace/workspace.ts'
import type { PlatformRoutesOptions } from './platform.ts'
import { type LivingAgent, SessionFacts } from './session-facts.ts'

export interface PlatformOptions extends WorkflowSwitches {
  workspace: Workspace
  sessions: Sessions
  log: EventLog
  sessionId: string | undefined
  living: LivingAgent
  outputPlaces: TaskOutputPlaces
  redactor: Redactor
  fileBytesMax: number
}

/** What the platform's routes work on. */
export function openPlatform(options: PlatformOptions): PlatformRoutesOptions {
  const { workspace, sessions, log, living, sessionId, redactor, fileBytesMax } = options
  const { settingSources, slashCommands } = options
  const { guard, files, repositories, workflows } = workspace
  const ledger = new TaskLedger(log)
  const places = options.outputPlaces
  const facts = new SessionFacts({ sessions, ledger, living, places, sessionId })
  const switches = { settingSources, slashCommands }
  return { guard, files, repositories, workflows, switches, facts, redactor, fileBytesMax }
}
