import { contentToText, EventType, type UserMessage } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'

/**
 * Returns the events of a user message that a turn has taken in. The events of a message carry only its text, so its
 * pictures and documents go as metadata.
 */
export function takenInEvents({ id: messageId, content }: Pick<UserMessage, 'id' | 'content'>): AguiEvent[] {
  const delta = contentToText(content)
  const parts = typeof content === 'string' ? [] : content.filter(({ type }) => type !== 'text')
  const media = parts.length === 0 ? {} : { metadata: { 'agui-runner': { parts } } }
  return [
    { type: EventType.TEXT_MESSAGE_START, messageId, role: 'user', ...media },
    ...(delta === '' ? [] : [{ type: EventType.TEXT_MESSAGE_CONTENT as const, messageId, delta }]),
    { type: EventType.TEXT_MESSAGE_END, messageId },
  ]
}
