import type { AgentSession, RunEnd } from '../agent/agent.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Blobs } from '../storage/blob.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { Oversize } from './oversize.ts'
import type { Queue } from './queue.ts'
import type { RunLimits } from './run.ts'
import type { ThreadFacts, ThreadTable } from './thread-table.ts'
import type { ThreadWriter } from './thread-writer.ts'

/** The parts and limits of one thread. */
export interface ThreadOptions extends RunLimits {
  facts: ThreadFacts
  agent: AgentSession
  log: EventLog
  blobs: Blobs
  table: ThreadTable
  writer: ThreadWriter
  redactor: Redactor
  oversize: Oversize
  /** Called before anyone else learns that a run has ended. */
  onRunEnding?: (() => Promise<void>) | undefined
  queue: Queue
  /** Called when a run's terminal event is committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** Called with the cause when the log cannot be written. The runner cannot continue then. */
  onLogFailure(error: unknown): void
}
