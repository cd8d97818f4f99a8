import { EventType, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { readOwn } from '../../agui/own-events.ts'
import type { Batch, LogRecord } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { readMessages } from '../../thread/snapshot.ts'

/** What a client that lacks turns is sent behind the opening of its run, whose last seq is given. */
export type CatchUp = (seq: number) => Promise<AguiEvent[]>

/** The records of a run's first batch that a catch-up stands behind: its start, and that it takes the thread back. */
export function openingOf(first: Batch): LogRecord[] {
  const [started, next] = first.records()
  const isTakenBack = next?.event.type === EventType.CUSTOM && readOwn('taken_back', next.event) !== undefined
  return [started, isTakenBack ? next : undefined].flatMap((record) => record ?? [])
}

/**
 * What brings a client up to date that lacks turns. A client keeps the order of what it holds and appends the rest: first
 * it gets what it holds without its new messages, then all, so that these come last.
 */
export function catchUpOf(
  held: Message[],
  { log, threadId, signal }: { log: EventLog; threadId: string; signal: AbortSignal },
): CatchUp {
  return async (head) =>
    [held, await readMessages(log, { threadId, head, signal })].map((messages) => ({
      type: EventType.MESSAGES_SNAPSHOT,
      messages,
    }))
}
