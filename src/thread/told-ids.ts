import type { UserMessage } from '@ag-ui/core'

export const TOLD = ':steered'

/**
 * The id under which readers get a message that the client of a run put into a running turn. That client holds
 * the message already, and would hold the words twice.
 */
export function toldId(messageId: string): string {
  return `${messageId}${TOLD}`
}

/** The message as readers get it then. */
export function asTold(message: UserMessage): UserMessage {
  return { ...message, id: toldId(message.id) }
}

/** The id that the message was sent with. */
export function untold(messageId: string): string {
  return messageId.endsWith(TOLD) ? messageId.slice(0, -TOLD.length) : messageId
}
