import { EventType, type Interrupt, PROTOCOL_VERSION } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { Transcript } from '../agui/transcript.ts'
import { RunnerError } from '../errors.ts'
import type { EventLog } from '../log/event-log.ts'

export interface Snapshot {
  /** What a client that holds nothing is told first; AG-UI-legal before whatever follows `head` in the log. */
  events: AguiEvent[]
  /** The last seq that the events contain. */
  head: number
}

/**
 * The thread as it is now, for a client that holds nothing: a run's opening, the messages, and either what is open
 * again or, between runs, the end. `connectId` names that opening run when the thread has none open.
 */
export async function takeSnapshot(
  log: EventLog,
  options: { threadId: string; connectId: string; signal: AbortSignal },
): Promise<Snapshot> {
  const { threadId, connectId, signal } = options
  const head = log.head(threadId)
  const transcript = new Transcript()
  if (head > 0) await replay(log, { threadId, head, signal }, transcript)
  const messages: AguiEvent = { type: EventType.MESSAGES_SNAPSHOT, messages: transcript.messages() }
  const open = transcript.openRun
  if (open !== undefined) return { events: [open, messages, ...transcript.openings()], head }
  const run = { threadId, runId: connectId }
  return {
    head,
    events: [
      { type: EventType.RUN_STARTED, ...run, protocolVersion: PROTOCOL_VERSION },
      messages,
      { type: EventType.RUN_FINISHED, ...run, outcome: outcomeOf(transcript) },
    ],
  }
}

/** From the beginning, or from what retention has left of it. */
async function replay(
  log: EventLog,
  { threadId, head, signal }: { threadId: string; head: number; signal: AbortSignal },
  transcript: Transcript,
): Promise<void> {
  let after = 0
  while (after < head && !signal.aborted) {
    try {
      for await (const batches of log.read(threadId, after, signal)) {
        for (const batch of batches) {
          for (const { seq, event } of batch.records()) if (seq <= head) transcript.apply(event)
          after = batch.last
        }
        if (after >= head) return
      }
    } catch (error) {
      const oldest = oldestSeq(error)
      if (oldest === undefined) throw error
      after = oldest - 1
    }
  }
}

function oldestSeq(error: unknown): number | undefined {
  if (!(error instanceof RunnerError) || error.code !== 'replay_expired') return undefined
  const { details } = error
  const isKnown = typeof details === 'object' && details !== null && 'oldestSeq' in details
  return isKnown && typeof details.oldestSeq === 'number' ? details.oldestSeq : undefined
}

/** What waits for a person still waits: a client that re-connects must see it. */
function outcomeOf(
  transcript: Transcript,
): { type: 'success' } | { type: 'interrupt'; interrupts: Interrupt[] } {
  const end = transcript.lastEnd
  return end?.type === EventType.RUN_FINISHED && end.outcome?.type === 'interrupt'
    ? end.outcome
    : { type: 'success' }
}
