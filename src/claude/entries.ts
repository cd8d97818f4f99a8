import { isObject } from '../json.ts'
import { readAssistant, readUser } from './translate/messages.ts'

/** Uuids of entries that a turn has put into the session's file. */
export interface Entries {
  last: string | undefined
  /** The last entry up to which the model has accepted everything, or a summary of everything before. */
  safe: string | undefined
  /** The summary of everything before, when the session was compacted in the turn. */
  summary: string | undefined
}

/** Whether the content blocks, or a tool result among them, contain a picture or a document. */
export function hasMedia(blocks: unknown): boolean {
  if (!Array.isArray(blocks)) return false
  return blocks.some(
    (block: unknown) =>
      isObject(block) &&
      (block['type'] === 'image' || block['type'] === 'document' || hasMedia(block['content'])),
  )
}

/** Whether the content blocks contain the result of a tool. */
export function hasResult(blocks: unknown): boolean {
  return (
    Array.isArray(blocks) &&
    blocks.some((block: unknown) => isObject(block) && block['type'] === 'tool_result')
  )
}

/**
 * Returns the uuid of a message that is an entry of the session's file. Undefined for a subagent's message and for one
 * that the harness made or replayed.
 */
export function entryOf(message: unknown): string | undefined {
  if (!isObject(message)) return undefined
  const { type } = message
  const entry =
    type === 'assistant' ? readAssistant(message) : type === 'user' ? readUser(message) : undefined
  if (entry === undefined || entry.parent_tool_use_id !== undefined) return undefined
  return ('error' in entry && entry.error !== undefined) || message['isReplay'] === true
    ? undefined
    : entry.uuid
}
