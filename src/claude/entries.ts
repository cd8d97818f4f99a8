import { isRecord, readAssistant, readUser } from './translate/messages.ts'

/** What a turn has put into the session's file. */
export interface Entries {
  last: string | undefined
  /** Up to here the model has taken it, or it is a summary of all before. */
  safe: string | undefined
  /** The summary of all before, when the session was compacted in the turn. */
  summary: string | undefined
}

/** Whether a picture or a document is among the content blocks, or in a tool's result among them. */
export function hasMedia(blocks: unknown): boolean {
  if (!Array.isArray(blocks)) return false
  return blocks.some(
    (block: unknown) =>
      isRecord(block) &&
      (block['type'] === 'image' || block['type'] === 'document' || hasMedia(block['content'])),
  )
}

/** The uuid of a message that is an entry of the session's file, and not a subagent's or the harness's. */
export function entryOf(message: unknown): string | undefined {
  if (!isRecord(message)) return undefined
  const { type } = message
  const entry =
    type === 'assistant' ? readAssistant(message) : type === 'user' ? readUser(message) : undefined
  if (entry === undefined || entry.parent_tool_use_id !== undefined) return undefined
  return ('error' in entry && entry.error !== undefined) || message['isReplay'] === true
    ? undefined
    : entry.uuid
}
