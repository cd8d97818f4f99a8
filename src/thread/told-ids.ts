import type { UserMessage } from '@ag-ui/core'

export const TOLD = ':steered'

/**
 * Returns the id under which readers get a message that a client put into a running turn. The client already holds the
 * message under its own id, and would otherwise show it twice.
 */
export function toldId(messageId: string): string {
  return `${messageId}${TOLD}`
}

/** Returns the message as readers get it. */
export function asTold(message: UserMessage): UserMessage {
  return { ...message, id: toldId(message.id) }
}

/** Returns the id that the message was sent with. */
export function untold(messageId: string): string {
  return messageId.endsWith(TOLD) ? messageId.slice(0, -TOLD.length) : messageId
}
