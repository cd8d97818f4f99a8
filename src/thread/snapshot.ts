import { setImmediate as turn } from 'node:timers/promises'
import { EventType, type Interrupt, type Message, PROTOCOL_VERSION } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { ownEvent } from '../agui/own-events.ts'
import { Transcript } from '../agui/transcript.ts'
import type { EventLog } from '../storage/event-log.ts'
import { type Lost, readKept } from '../storage/kept.ts'

type RunStarted = Extract<AguiEvent, { type: EventType.RUN_STARTED }>

export interface Snapshot {
  /** What a client that holds nothing gets first; AG-UI-legal before whatever follows `head` in the log. */
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
  const head = await log.head(threadId)
  const transcript = new Transcript()
  const { lastRunId, lost } = await replay(log, { threadId, head, signal }, transcript)
  // What the messages lack, for a client that would take them for the whole thread.
  const gaps = lost.map(({ first, last }) => ownEvent('gap', { firstSeq: first, lastSeq: last }))
  const messages: AguiEvent = { type: EventType.MESSAGES_SNAPSHOT, messages: transcript.messages() }
  if (transcript.isOpen) {
    // Without the echo of its input: a client adds those messages before it sees the older ones of the snapshot.
    const { input: _echo, ...opening } = transcript.openRun ?? startOf(threadId, lastRunId)
    return { events: [opening, messages, ...gaps, ...transcript.openings()], head }
  }
  const outcome = outcomeOf(transcript)
  return {
    head,
    events: [
      startOf(threadId, connectId),
      messages,
      ...gaps,
      { type: EventType.RUN_FINISHED, threadId, runId: connectId, outcome },
    ],
  }
}

/** The thread's closed messages as they are at `head`, else now, as far as retention has left them. */
export async function readMessages(
  log: EventLog,
  options: { threadId: string; head?: number; signal: AbortSignal },
): Promise<Message[]> {
  const { threadId, signal } = options
  const head = options.head ?? (await log.head(threadId))
  const transcript = new Transcript()
  if (head > 0) await replay(log, { threadId, head, signal }, transcript)
  return transcript.messages()
}

function startOf(threadId: string, runId: string): RunStarted {
  return { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION }
}

/** From the beginning, or from what is left of it; returns whose run the last record is, and what is damaged. */
async function replay(
  log: EventLog,
  { threadId, head, signal }: { threadId: string; head: number; signal: AbortSignal },
  transcript: Transcript,
): Promise<{ lastRunId: string; lost: Lost[] }> {
  let lastRunId = ''
  const lost: Lost[] = []
  const onLost = (gap: Lost): void => {
    lost.push(gap)
    // Whatever was open may have ended in there.
    transcript.apply(lossOf(gap))
  }
  for await (const batches of readKept(log, threadId, { after: 0, head, signal, onLost })) {
    for (const batch of batches) {
      if (batch.first > head) return { lastRunId, lost }
      for (const { seq, event } of batch.records()) if (seq <= head) transcript.apply(event, seq)
      lastRunId = batch.runId
    }
    // Reading is done without waiting for anything: others must have their turn in between.
    await turn()
  }
  return { lastRunId, lost }
}

function lossOf({ first, last }: Lost): AguiEvent {
  const message = `Records ${first} to ${last} of this thread are damaged in the store.`
  return { type: EventType.RUN_ERROR, code: 'replay_expired', message }
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
