import type { Entries } from './entries.ts'
import type { Host } from './host/host.ts'
import { freshMemory, type Memory } from './memory.ts'
import type { Turn } from './turn.ts'
import type { TurnEnd } from './turn-end.ts'

/** What the model refuses once it refuses in every later request of the session, so the session goes on without it. */
export function isRejected(end: TurnEnd): boolean {
  return typeof end === 'object' && end.outcome === 'error' && end.code === 'model_rejected_input'
}

/** The point of a conversation at which nothing was said yet, or nothing that counts. */
const BEGINNING = 'beginning'

/**
 * Where the session may be cut so that all that was said is kept. In the middle of a turn it may not: Claude Code would
 * make up the results of calls that wait.
 */
export function pointOf({ asked, calls, claudeSessionId, last, summary }: Memory): string | undefined {
  if (asked.length + calls.length > 0) return undefined
  if (last === undefined) return BEGINNING
  return last.sessionId === claudeSessionId ? pointAt(last, summary) : undefined
}

function pointAt({ sessionId, uuid }: NonNullable<Memory['last']>, summary = ''): string {
  return [sessionId, summary, uuid].join(' ')
}

/** The memory of a conversation that goes on from there; undefined when its session is another one, or has no such entry. */
export function backAt(memory: Memory, point: string): Memory | undefined {
  if (point === BEGINNING) return freshMemory(memory.model)
  const { claudeSessionId: sessionId, summary } = memory
  const last = { sessionId, uuid: point.slice(point.lastIndexOf(' ') + 1) }
  if (point !== pointAt(last, summary)) return undefined
  return { ...memory, last, proven: last, asked: [], calls: [], unsaid: [], isTakenBack: true }
}

/** The memory after a turn, or at its question. */
export function memoryAfter(
  memory: Memory,
  end: TurnEnd,
  { turn, host }: { turn: Turn; host: Host },
): Memory {
  const { isParked, translator, entries } = turn
  // What waited for somebody waits on when Claude Code never came to hear the answers.
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
 * The memory after a turn: where the session may be cut so that the model has taken all of it. A turn that neither
 * succeeded nor was refused proves nothing.
 */
function withProof(before: Memory, end: TurnEnd, { last: entry, safe, summary }: Entries): Memory {
  if (typeof end === 'symbol') return before
  const { claudeSessionId: sessionId } = before
  const memory = summary === undefined ? before : { ...before, summary, last: { sessionId, uuid: summary } }
  if (isRejected(end)) return takenBack(memory, safe)
  // From the first entry of the new branch on, the session's file ends with that.
  const isTakenBack = memory.isTakenBack && entry === undefined
  const last = entry === undefined ? memory.last : { sessionId, uuid: entry }
  // What failed is not counted among what was said.
  if (end.outcome === 'error') return { ...memory, isTakenBack }
  if (end.outcome !== 'success' || end.pendingToolCallIds !== undefined)
    return { ...memory, last, isTakenBack }
  const proven = entry === undefined ? memory.proven : last
  return { ...memory, last, proven, isTakenBack, isUnproven: false }
}

/** A session of which nothing was ever accepted begins anew. */
function takenBack(memory: Memory, safe: string | undefined): Memory {
  const { claudeSessionId: sessionId, model } = memory
  const proven = safe === undefined ? memory.proven : { sessionId, uuid: safe }
  if (proven?.sessionId !== sessionId) return freshMemory(model)
  return { ...memory, proven, last: proven, asked: [], calls: [], isTakenBack: true, isUnproven: false }
}

/** Where the next process is to resume, when not at the session's end. */
export function resumePoint({ isTakenBack, proven }: Memory): { resumeSessionAt?: string } {
  return isTakenBack && proven !== undefined ? { resumeSessionAt: proven.uuid } : {}
}

/** The reason that is sent when the next words are tried again without it. */
export const LEFT =
  'The model refused what a run that did not end well had left in the session; it goes on from before that run.'

/** The reason that is sent when the session's file is gone. */
export const GONE =
  'Claude Code has no conversation of this id any more; it starts without what was said before.'
