import { contentToText, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { ownEvent } from '../agui/own-events.ts'
import type { Waiting } from './queue.ts'

/** These are on their way into the turn; each is sent as the user's when the turn takes it in. */
export function pendingEvents(messages: readonly Message[]): AguiEvent[] {
  return messages.flatMap((message) =>
    message.role === 'user'
      ? [ownEvent('message_pending', { messageId: message.id, content: contentToText(message.content) })]
      : [],
  )
}

/** The run is over, and what waits is a run of its own. */
export function queuedEvents(waiting: readonly Waiting[]): AguiEvent[] {
  return waiting.flatMap(({ runId, messageIds }) =>
    messageIds.map((messageId) => ownEvent('message_queued', { messageId, runId })),
  )
}

/** Behind RUN_STARTED: how far the conversation was taken back for the run, and what its client sent in vain. */
export function openingEvents(takenBackTo: number | undefined, skipped: readonly string[]): AguiEvent[] {
  return [
    ...(takenBackTo === undefined ? [] : [ownEvent('taken_back', { afterSeq: takenBackTo })]),
    ...(skipped.length === 0 ? [] : [ownEvent('content_skipped', { parts: skipped })]),
  ]
}
