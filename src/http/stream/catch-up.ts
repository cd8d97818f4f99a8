import { EventType, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import type { EventLog } from '../../storage/event-log.ts'
import { readMessages } from '../../thread/snapshot.ts'

/** What a client that lacks turns is sent behind the first record of its run, whose seq is given. */
export type CatchUp = (seq: number) => Promise<AguiEvent[]>

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
