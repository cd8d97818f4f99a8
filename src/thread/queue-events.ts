import { contentToText, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { mediaParts } from '../agui/media-parts.ts'
import { ownEvent } from '../agui/own-events.ts'
import type { Waiting } from './queue.ts'

/** Returns the events for messages on their way into the turn. Each becomes a user message when the turn takes it in. */
export function pendingEvents(messages: readonly Message[]): AguiEvent[] {
  return messages.flatMap((message) => {
    if (message.role !== 'user') return []
    const { id: messageId, name, content } = message
    const media = mediaParts(content)
    const parts = media.length === 0 ? undefined : media
    return [ownEvent('message_pending', { messageId, name, content: contentToText(content), parts })]
  })
}

/** Returns the events for messages that become runs of their own after the current run. */
export function queuedEvents(waiting: readonly Waiting[]): AguiEvent[] {
  return waiting.flatMap(({ runId, messageIds }) =>
    messageIds.map((messageId) => ownEvent('message_queued', { messageId, runId })),
  )
}

/** Returns the events after RUN_STARTED: how far the conversation was taken back, and which input had no effect. */
export function openingEvents(takenBackTo: number | undefined, skipped: readonly string[]): AguiEvent[] {
  return [
    ...(takenBackTo === undefined ? [] : [ownEvent('taken_back', { afterSeq: takenBackTo })]),
    ...(skipped.length === 0 ? [] : [ownEvent('content_skipped', { parts: skipped })]),
  ]
}
