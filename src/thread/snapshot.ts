import { setImmediate as turn } from 'node:timers/promises'
import { EventType, type Interrupt, type Message, PROTOCOL_VERSION } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { ownEvent } from '../agui/own-events.ts'
import { Transcript } from '../agui/transcript.ts'
import type { EventLog } from '../storage/event-log.ts'
import { type Lost, readKept } from '../storage/replay.ts'

type RunStarted = Extract<AguiEvent, { type: EventType.RUN_STARTED }>

export interface Snapshot {
  /** The first events for a client that holds nothing; legal before the records after `head`. */
  events: AguiEvent[]
  /** The last seq that the events cover. */
  head: number
}

/**
 * Returns the thread as it is now, for a client that holds nothing: a run's start, the messages, and either the open items
 * opened again or, between runs, the run's end. `connectId` names that run when the thread has none open.
 */
export async function takeSnapshot(
  log: EventLog,
  options: { threadId: string; connectId: string; signal: AbortSignal },
): Promise<Snapshot> {
  const { threadId, connectId, signal } = options
  const head = await log.head(threadId)
  const transcript = new Transcript()
  const { lastRunId, lost } = await replay(log, { threadId, head, signal }, transcript)
  // The gaps, for a client that would otherwise take the messages for the whole thread.
  const gaps = lost.map(({ first, last }) => ownEvent('gap', { firstSeq: first, lastSeq: last }))
  const messages: AguiEvent = { type: EventType.MESSAGES_SNAPSHOT, messages: transcript.messages() }
  if (transcript.isOpen) {
    // The echo of the input is left out: a client would add those messages before the older ones of the snapshot.
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

/** Returns the thread's closed messages at `head`, by default now, as far as retention has kept them. */
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

/** Replays the log from its first kept record. Returns the run of the last record, and the damaged ranges. */
async function replay(
  log: EventLog,
  { threadId, head, signal }: { threadId: string; head: number; signal: AbortSignal },
  transcript: Transcript,
): Promise<{ lastRunId: string; lost: Lost[] }> {
  let lastRunId = ''
  const lost: Lost[] = []
  const onLost = (gap: Lost): void => {
    lost.push(gap)
    // Open items may have ended within the gap.
    transcript.apply(lossOf(gap))
  }
  for await (const batches of readKept(log, threadId, { after: 0, head, signal, onLost })) {
    for (const batch of batches) {
      if (batch.first > head) return { lastRunId, lost }
      for (const { seq, event } of batch.records()) if (seq <= head) transcript.apply(event, seq)
      lastRunId = batch.runId
    }
    // Reading never waits, so other work gets its turn between two batches.
    await turn()
  }
  return { lastRunId, lost }
}

function lossOf({ first, last }: Lost): AguiEvent {
  const message = `Records ${first} to ${last} of this thread are damaged in the store.`
  return { type: EventType.RUN_ERROR, code: 'replay_expired', message }
}

/** Returns the outcome with the interrupts that are still open, which a client that reconnects must see. */
function outcomeOf(
  transcript: Transcript,
): { type: 'success' } | { type: 'interrupt'; interrupts: Interrupt[] } {
  const end = transcript.lastEnd
  return end?.type === EventType.RUN_FINISHED && end.outcome?.type === 'interrupt'
    ? end.outcome
    : { type: 'success' }
}
