import { type Json, toNumber, toText } from './fields.ts'

/** What a person decided on a call, as the log keeps it. */
export interface ToolDecision {
  interruptId: string
  word: string
  /** A call that was refused has not failed. */
  isRefusal: boolean
  /** The call had ended with its process, and the model is asked to make it again. */
  isRestarted: boolean
  /** Milliseconds since 1970. */
  at: number
}

const WORDS: Readonly<Record<string, string>> = {
  approved: 'Allowed',
  refused: 'Refused',
  dismissed: 'Dismissed',
}

/** Reads the value of `agui-runner.answered`. */
export function decisionOf({ interruptId, decision, scope, at, restarted }: Json): ToolDecision {
  const word = WORDS[toText(decision) ?? ''] ?? 'Answered'
  return {
    interruptId: toText(interruptId) ?? '',
    word: scope === 'session' ? 'Always allowed in this session' : word,
    isRefusal: decision === 'refused',
    isRestarted: restarted === true,
    at: toNumber(at) ?? 0,
  }
}
