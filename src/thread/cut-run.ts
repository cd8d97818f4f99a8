import { EventType } from '@ag-ui/core'
import type { AgentSession } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import { isCode } from '../errors.ts'
import type { EventLog } from '../storage/event-log.ts'
import { readKept } from '../storage/replay.ts'
import type { Queue } from './queue.ts'
import { queuedEvents } from './queue-events.ts'
import { putFacts, type ThreadFacts } from './thread-table.ts'
import type { ThreadWriter } from './thread-writer.ts'

/** Why a run ends whose process or work is gone. */
export interface Cut {
  code: string
  message: string
}

export const RESTARTED: Cut = {
  code: 'runner_restarted',
  message: 'The runner was stopped in the middle of this run and has started again.',
}

/** Of a run in a runner that has lost its lease, by whoever ends it in its place. */
export const LOST: Cut = {
  code: 'lease_lost',
  message:
    'Nothing was heard of the runner of this run for longer than THREAD_LEASE_MS: it has died, hangs, or cannot reach the store. Send a new run to go on.',
}

/** A run that ended without its terminal event. */
interface CutRun {
  /** Whether the terminal event is in the log, or the run never began. */
  isOver: boolean
  /** The events that close the open items. */
  closing: AguiEvent[]
  /** Ids of the user messages in the run's log, which the agent had taken in. */
  taken: string[]
}

export interface CutOptions {
  agent: Pick<AgentSession, 'memory'>
  log: EventLog
  writer: ThreadWriter
  queue: Queue
}

/**
 * Ends a run in the log that was cut short. Returns the thread's facts after it, and undefined when no run was open or
 * the disk has no room. Without room the run stays open.
 */
export async function closeCut(
  { code, message }: Cut,
  { openRun, ...before }: ThreadFacts,
  { agent, log, queue, writer }: CutOptions,
): Promise<ThreadFacts | undefined> {
  if (openRun === undefined) return undefined
  const { threadId, head } = writer
  const { after, runId } = openRun
  const { isOver, closing, taken } = await readCutRun(log, threadId, { after, head })
  for (const id of taken) queue.takeIn(id)
  const end: AguiEvent = { type: EventType.RUN_ERROR, code, message, timestamp: Date.now() }
  const events = [...closing, ...queuedEvents(queue.waiting), end]
  const facts: ThreadFacts = {
    ...before,
    lastRunId: runId,
    lastOutcome: 'error',
    updatedAt: Date.now(),
    memory: agent.memory,
  }
  const writes = [...(await queue.takenWrites()), putFacts(threadId, facts)]
  try {
    await writer.commit({ ...(isOver ? {} : { append: { runId, events } }), writes, isLast: true })
  } catch (error) {
    if (isCode(error, 'storage_full')) return undefined
    throw error
  }
  queue.forgetTaken()
  for (const waiting of queue.waiting) waiting.isSteered = false
  await writer.flushed()
  return facts
}

/** Reads the log after `after`, the last seq before the run, up to `head`. */
async function readCutRun(
  log: EventLog,
  threadId: string,
  { after, head }: { after: number; head: number },
): Promise<CutRun> {
  const taken: string[] = []
  if (head <= after) return { isOver: true, closing: [], taken }
  let open = new OpenItems()
  let isOver = false
  const { signal } = new AbortController()
  const onLost = (): void => {
    // Open items may have ended within the gap.
    open = new OpenItems()
  }
  for await (const batches of readKept(log, threadId, { after, head, signal, onLost })) {
    for (const batch of batches) {
      isOver ||= batch.terminal
      for (const { event } of batch.records()) {
        open.apply(event)
        if (event.type === EventType.TEXT_MESSAGE_START && event.role === 'user') taken.push(event.messageId)
      }
    }
  }
  return { isOver, closing: isOver ? [] : open.closing(), taken }
}
