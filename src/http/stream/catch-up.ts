import { EventType, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { readOwn } from '../../agui/own-events.ts'
import type { Batch } from '../../storage/batch.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { readMessages } from '../../thread/snapshot.ts'

/** Returns the events that bring a client up to date. They follow the opening of its run, whose last seq is `seq`. */
export type CatchUp = (seq: number) => Promise<AguiEvent[]>

/**
 * Splits the first batch of a run for a client that lacks earlier turns. `events` are the opening of the run (its start,
 * and `taken_back` if it follows) with the catch-up behind it; they stand for the record `seq`. `rest` follows them.
 */
export async function caughtUp(
  first: Batch,
  catchUp: CatchUp,
): Promise<{ events: AguiEvent[]; seq: number; rest: Batch }> {
  const [started, next] = first.records()
  const isTakenBack = next?.event.type === EventType.CUSTOM && readOwn('taken_back', next.event) !== undefined
  const opening = [started, isTakenBack ? next : undefined].flatMap((record) => record?.event ?? [])
  const seq = isTakenBack ? next.seq : first.first
  return { events: [...opening, ...(await catchUp(seq))], seq, rest: first.after(seq) }
}

/**
 * Returns the catch-up for a client that lacks earlier turns: two snapshots. A client keeps the order of the messages
 * that it holds and appends the others. So the first snapshot has its old messages only, and the second has all, which
 * puts its new messages last.
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
