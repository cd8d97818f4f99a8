import { contentToText, type Interrupt, type RunAgentInput } from '@ag-ui/core'
import { parseRunInput } from '../agui/input.ts'
import { answersOf } from './chat-answers.ts'
import { runIdOf } from './message-run.ts'
import type { SessionMessage } from './protocol.ts'

/**
 * Converts a person's message to a run input. The message is plain text, or a run input as JSON (control-plane.md 1.4).
 * A text that comes while an interrupt is open is the answer to it.
 */
export function toRunInput(
  { seq, payload }: Pick<SessionMessage, 'seq' | 'payload'>,
  { threadId, interrupts }: { threadId: string; interrupts: readonly Interrupt[] },
): RunAgentInput {
  const runId = runIdOf(seq)
  const written = readInput(payload, { threadId, runId })
  if (written !== undefined && (interrupts.length === 0 || (written.resume ?? []).length > 0)) return written
  const common = { threadId, runId, tools: [], context: [], forwardedProps: { delivery: 'queue' } }
  const resume = answersOf(interrupts, written === undefined ? payload : lastWordsOf(written))
  if (resume.length > 0) return { ...common, messages: [], resume }
  return { ...common, messages: [{ id: runId, role: 'user', content: payload }] }
}

/** Returns undefined for a payload that is no run input: it is then plain text, whatever it looks like. */
function readInput(payload: string, ids: { threadId: string; runId: string }): RunAgentInput | undefined {
  if (!payload.trimStart().startsWith('{')) return undefined
  try {
    const body: unknown = JSON.parse(payload)
    if (typeof body !== 'object' || body === null || !('messages' in body)) return undefined
    const { input } = parseRunInput({ ...body, thread_id: undefined, run_id: undefined, ...ids })
    const props = typeof input.forwardedProps === 'object' ? input.forwardedProps : {}
    return { ...input, ...ids, forwardedProps: { ...props, delivery: 'queue' } }
  } catch {
    return undefined
  }
}

function lastWordsOf({ messages }: RunAgentInput): string {
  const last = messages.findLast(({ role }) => role === 'user')
  return last?.role === 'user' ? contentToText(last.content) : ''
}
