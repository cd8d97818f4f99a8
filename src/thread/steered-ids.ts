import type { UserMessage } from '@ag-ui/core'

export const STEERED = ':steered'

/**
 * Returns the id under which readers get a message that a client put into a running turn. The client already holds the
 * message under its own id, and would otherwise show it twice.
 */
export function steeredId(messageId: string): string {
  return `${messageId}${STEERED}`
}

/** Returns the message as readers get it. */
export function withSteeredId(message: UserMessage): UserMessage {
  return { ...message, id: steeredId(message.id) }
}

/** Returns the id that the message was sent with. */
export function unsteeredId(messageId: string): string {
  return messageId.endsWith(STEERED) ? messageId.slice(0, -STEERED.length) : messageId
}
