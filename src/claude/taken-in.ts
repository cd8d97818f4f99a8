import { contentToText, EventType, type UserMessage } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { mediaParts } from '../agui/media-parts.ts'

type Said = Pick<UserMessage, 'id' | 'name' | 'content'>

/**
 * Returns the events of a user message that a turn has taken in. The events of a message carry only its text, so its
 * pictures and documents go as metadata.
 */
export function takenInEvents({ id: messageId, name, content }: Said): AguiEvent[] {
  const delta = contentToText(content)
  const parts = mediaParts(content)
  const sender = name === undefined ? {} : { name }
  const media = parts.length === 0 ? {} : { metadata: { 'agui-runner': { parts } } }
  return [
    { type: EventType.TEXT_MESSAGE_START, messageId, role: 'user', ...sender, ...media },
    ...(delta === '' ? [] : [{ type: EventType.TEXT_MESSAGE_CONTENT as const, messageId, delta }]),
    { type: EventType.TEXT_MESSAGE_END, messageId },
  ]
}
