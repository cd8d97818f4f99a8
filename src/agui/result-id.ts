/** Returns the id of the message with a call's result. By it the runner knows its own results in a client's history. */
export function resultIdOf(toolCallId: string): string {
  return `${toolCallId}:result`
}
