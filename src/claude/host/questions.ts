import type { ResumeEntry } from '@ag-ui/core'
import type { ElicitationResult } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import type { AguiEvent } from '../../agui/event.ts'
import { type OwnEventValue, ownEvent } from '../../agui/own-events.ts'
import { ToolAsked } from './approvals.ts'
import { type Elicitation, Elicited } from './elicitations.ts'
import { type Answer, readAnswer } from './interrupts.ts'

/** A question that waits for a person: a tool call, or a question of an MCP server. Stored data is checked by this. */
export const Asked = z.union([ToolAsked, Elicited])
export type Asked = z.infer<typeof Asked>

/** A person's answer to a question whose process has ended. It holds for the next equal question, once. */
export type Grant =
  | { asked: ToolAsked; updatedInput: Record<string, unknown> }
  | { elicitation: Elicitation; result: ElicitationResult }

type Verdict = Pick<OwnEventValue<'answered'>, 'decision' | 'scope' | 'message'>

const ELICITED = { accept: 'answered', decline: 'refused', cancel: 'dismissed' } as const

/** Returns the event that keeps what the answer counted as, which may be less than what was sent. */
export function answeredEvent(
  { interrupt }: Asked,
  answer: Answer | ElicitationResult,
  more: { restarted?: true } = {},
): AguiEvent {
  const { id: interruptId, toolCallId } = interrupt
  const verdict = 'action' in answer ? { decision: ELICITED[answer.action] } : verdictOf(interrupt, answer)
  return ownEvent('answered', { interruptId, toolCallId, ...verdict, at: Date.now(), ...more })
}

function verdictOf({ reason }: Asked['interrupt'], answer: Answer): Verdict {
  if (!answer.approved) return { decision: 'refused', message: answer.message }
  if (reason === 'input_required') return { decision: 'answered' }
  return { decision: 'approved', scope: answer.remember ? 'session' : undefined, message: answer.words }
}

/** Returns what a person says with approvals. Claude Code itself passes on only the words of a refusal. */
export function approvalWords(waiting: readonly Asked[], entries: readonly ResumeEntry[]): string[] {
  return waiting.flatMap((asked) => {
    const entry = entries.find(({ interruptId }) => interruptId === asked.interrupt.id)
    if (entry === undefined || 'elicitation' in asked) return []
    const answer = readAnswer(asked, entry)
    return answer.approved && answer.words !== undefined
      ? [`${asked.tool} is approved, with these words: ${answer.words}`]
      : []
  })
}

/** Returns the event with the arguments that run in place of the model's streamed ones. */
export function editedEvents({ interrupt }: ToolAsked, answer: Answer): AguiEvent[] {
  const { toolCallId } = interrupt
  if (toolCallId === undefined || !answer.approved || !answer.isEdited) return []
  return [ownEvent('tool_call_edited', { toolCallId, args: answer.updatedInput })]
}
