import { setImmediate as turn } from 'node:timers/promises'
import { EventType, type Interrupt, PROTOCOL_VERSION } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { Transcript } from '../agui/transcript.ts'
import { RunnerError } from '../errors.ts'
import type { EventLog } from '../storage/event-log.ts'

type RunStarted = Extract<AguiEvent, { type: EventType.RUN_STARTED }>

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
  const lastRunId = head > 0 ? await replay(log, { threadId, head, signal }, transcript) : connectId
  const messages: AguiEvent = { type: EventType.MESSAGES_SNAPSHOT, messages: transcript.messages() }
  if (transcript.isOpen) {
    // Without the echo of its input: a client adds those messages before it sees the older ones of the snapshot.
    const { input: _echo, ...opening } = transcript.openRun ?? startOf(threadId, lastRunId)
    return { events: [opening, messages, ...transcript.openings()], head }
  }
  const outcome = outcomeOf(transcript)
  return {
    head,
    events: [
      startOf(threadId, connectId),
      messages,
      { type: EventType.RUN_FINISHED, threadId, runId: connectId, outcome },
    ],
  }
}

function startOf(threadId: string, runId: string): RunStarted {
  return { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION }
}

/** From the beginning, or from what retention has left of it; tells whose run the last record is. */
async function replay(
  log: EventLog,
  { threadId, head, signal }: { threadId: string; head: number; signal: AbortSignal },
  transcript: Transcript,
): Promise<string> {
  let after = 0
  let lastRunId = ''
  while (after < head && !signal.aborted) {
    try {
      for await (const batches of log.read(threadId, after, signal)) {
        for (const batch of batches) {
          if (batch.first > head) return lastRunId
          for (const { seq, event } of batch.records()) if (seq <= head) transcript.apply(event)
          lastRunId = batch.runId
          after = batch.last
        }
        if (after >= head) return lastRunId
        // Reading is done without waiting for anything: others must have their turn in between.
        await turn()
      }
      // Dropped, or closed: there is no more.
      return lastRunId
    } catch (error) {
      const oldest = oldestSeq(error)
      if (oldest === undefined) throw error
      after = oldest - 1
    }
  }
  return lastRunId
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
