import type { Redactor } from '../../redaction/redactor.ts'
import type { EventLog } from '../../storage/event-log.ts'
import type { ServedThreads } from '../../thread/served-threads.ts'
import { TaskLedger } from '../../thread/task-ledger.ts'
import type { WorkflowSwitches } from '../../workspace/workflow-metadata.ts'
import type { Workspace } from '../../workspace/workspace.ts'
import { type LivingAgent, LivingThreads } from './living-threads.ts'
import type { PlatformRoutesOptions } from './platform.ts'

export interface PlatformOptions extends WorkflowSwitches {
  workspace: Workspace
  threads: ServedThreads
  log: EventLog
  sessionId: string | undefined
  living: LivingAgent
  redactor: Redactor
  fileBytesMax: number
  uploadBodyBytesMax: number
}

/** Returns the objects that the platform's routes work on. */
export function openPlatform(options: PlatformOptions): PlatformRoutesOptions {
  const { workspace, threads, log, living, sessionId, redactor, fileBytesMax, uploadBodyBytesMax } = options
  const { settingSources, slashCommands } = options
  const { guard, files, repositories, changes, workflows } = workspace
  const ledger = new TaskLedger(log)
  const facts = new LivingThreads({ threads, ledger, living, sessionId })
  const switches = { settingSources, slashCommands }
  const limits = { fileBytesMax, uploadBodyBytesMax }
  return { guard, files, repositories, changes, workflows, switches, facts, redactor, ...limits }
}
