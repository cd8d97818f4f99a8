import { freshMemory, type Memory } from './memory.ts'
import { isRecord, readAssistant, readUser } from './translate/messages.ts'
import type { TurnEnd } from './turn-end.ts'

/** What the model refuses once it refuses in every later request of the session, so the session goes on without it. */
export function isRejected(end: TurnEnd): boolean {
  return typeof end === 'object' && end.outcome === 'error' && end.code === 'model_rejected_input'
}

/** What a turn has put into the session's file. */
export interface Entries {
  last: string | undefined
  /** Up to here the model has taken it, or it is a summary of all before. */
  safe: string | undefined
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

/**
 * The memory after a turn: where the session may be cut so that the model has taken all of it. A turn that neither
 * succeeded nor was refused proves nothing.
 */
export function withProof(memory: Memory, end: TurnEnd, { last: entry, safe }: Entries): Memory {
  if (typeof end === 'symbol') return memory
  if (isRejected(end)) return takenBack(memory, safe)
  // From the first entry of the new branch on, the session's file ends with that.
  const isTakenBack = memory.isTakenBack && entry === undefined
  if (end.outcome !== 'success' || end.pendingToolCallIds !== undefined) return { ...memory, isTakenBack }
  const { claudeSessionId: sessionId } = memory
  const proven = entry === undefined ? {} : { proven: { sessionId, uuid: entry } }
  return { ...memory, ...proven, isTakenBack, isUnproven: false }
}

/** A session of which nothing was ever accepted begins anew. */
function takenBack(memory: Memory, safe: string | undefined): Memory {
  const { claudeSessionId: sessionId, model } = memory
  const proven = safe === undefined ? memory.proven : { sessionId, uuid: safe }
  if (proven?.sessionId !== sessionId) return freshMemory(model)
  return { ...memory, proven, asked: [], calls: [], isTakenBack: true, isUnproven: false }
}

/** Where the next process is to resume, when not at the session's end. */
export function resumePoint({ isTakenBack, proven }: Memory): { resumeSessionAt?: string } {
  return isTakenBack && proven !== undefined ? { resumeSessionAt: proven.uuid } : {}
}

/** Told when the next words are tried again without it. */
export const LEFT =
  'The model refused what a run that did not end well had left in the session; it goes on from before that run.'

/** Told when the session's file is gone. */
export const GONE =
  'Claude Code has no conversation of this id any more; it starts without what was said before.'
