import type { Entries } from './entries.ts'
import type { Host } from './host/host.ts'
import { freshMemory, type Memory } from './memory.ts'
import type { Turn } from './turn.ts'
import type { TurnEnd } from './turn-end.ts'

/**
 * Whether the model refused the input of the turn. It would refuse the same input in every later request of the
 * session, so the session continues without it.
 */
export function isRejected(end: TurnEnd): boolean {
  return typeof end === 'object' && end.outcome === 'error' && end.code === 'model_rejected_input'
}

/** The point of a conversation at which no turn has added an entry that is kept. */
const BEGINNING = 'beginning'

/**
 * Returns the point at which the session may be cut so that everything said so far is kept. Undefined in the middle of
 * a turn, where Claude Code would make up the results of pending calls, and when the last entry is another session's.
 */
export function pointOf({ asked, calls, claudeSessionId, last, summary }: Memory): string | undefined {
  if (asked.length + calls.length > 0) return undefined
  if (last === undefined) return BEGINNING
  return last.sessionId === claudeSessionId ? pointAt(last, summary) : undefined
}

function pointAt({ sessionId, uuid }: NonNullable<Memory['last']>, summary = ''): string {
  return [sessionId, summary, uuid].join(' ')
}

/**
 * Returns the memory of a conversation that continues from the point. Undefined when the point belongs to another
 * session or lies before the last summary.
 */
export function backAt(memory: Memory, point: string): Memory | undefined {
  if (point === BEGINNING) return freshMemory(memory.model)
  const { claudeSessionId: sessionId, summary } = memory
  const last = { sessionId, uuid: point.slice(point.lastIndexOf(' ') + 1) }
  if (point !== pointAt(last, summary)) return undefined
  return { ...memory, last, proven: last, asked: [], calls: [], unsaid: [], isTakenBack: true }
}

/** Returns the memory after a turn, or after a turn has parked at a question. */
export function memoryAfter(
  memory: Memory,
  end: TurnEnd,
  { turn, host }: { turn: Turn; host: Host },
): Memory {
  const { isParked, translator, entries } = turn
  // Pending questions and calls stay pending when Claude Code never got the answers.
  const open = translator.init === undefined ? memory : { asked: [], calls: [], unsaid: [] }
  const after = {
    ...memory,
    ...open,
    claudeSessionId: translator.sessionId ?? memory.claudeSessionId,
    turns: memory.turns + (isParked ? 0 : 1),
    ...(isParked ? { asked: host.waiting, calls: host.clientTools.waiting } : {}),
    translator: translator.memory,
  }
  return withProof(after, end, entries)
}

/**
 * Updates the point up to which the model has accepted the session. A turn that neither succeeded nor was refused
 * proves nothing.
 */
function withProof(before: Memory, end: TurnEnd, { last: entry, safe, summary }: Entries): Memory {
  if (typeof end === 'symbol') return before
  const { claudeSessionId: sessionId } = before
  const memory = summary === undefined ? before : { ...before, summary, last: { sessionId, uuid: summary } }
  if (isRejected(end)) return takenBack(memory, safe)
  // The first entry of the new branch replaces the taken-back entries at the end of the session's file.
  const isTakenBack = memory.isTakenBack && entry === undefined
  const last = entry === undefined ? memory.last : { sessionId, uuid: entry }
  // The entries of a failed turn are not part of the conversation.
  if (end.outcome === 'error') return { ...memory, isTakenBack }
  if (end.outcome !== 'success' || end.pendingToolCallIds !== undefined)
    return { ...memory, last, isTakenBack }
  const proven = entry === undefined ? memory.proven : last
  return { ...memory, last, proven, isTakenBack, isUnproven: false }
}

/** Takes the conversation back to the last accepted entry. A session without any accepted entry begins anew. */
function takenBack(memory: Memory, safe: string | undefined): Memory {
  const { claudeSessionId: sessionId, model } = memory
  const proven = safe === undefined ? memory.proven : { sessionId, uuid: safe }
  if (proven?.sessionId !== sessionId) return freshMemory(model)
  return { ...memory, proven, last: proven, asked: [], calls: [], isTakenBack: true, isUnproven: false }
}

/** Returns the entry at which the next process resumes. Empty for the session's end. */
export function resumePoint({ isTakenBack, proven }: Memory): { resumeSessionAt?: string } {
  return isTakenBack && proven !== undefined ? { resumeSessionAt: proven.uuid } : {}
}

/** Reason that is sent when the prompt is tried again without the rest of an unfinished run. */
export const LEFT =
  'The model refused what a run that did not end well had left in the session; it goes on from before that run.'

/** Reason that is sent when the session's file is missing. */
export const GONE =
  'Claude Code has no conversation of this id any more; it starts without what was said before.'
