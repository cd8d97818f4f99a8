import type { ResumeEntry, ToolMessage } from '@ag-ui/core'
import type { Asked } from './host/approvals.ts'
import type { ClientCall } from './host/client-tools.ts'
import { readAnswer } from './host/interrupts.ts'

/** What waited for somebody when the process ended. */
export interface Unanswered {
  asked: readonly Asked[]
  calls: readonly ClientCall[]
}

export interface Grant {
  asked: Asked
  updatedInput: Record<string, unknown>
}

/**
 * The process that had asked is gone, and its questions with it; none of the calls has run. The model is told what
 * became of each. An approved call that it makes again passes once (`grants`); any other is asked for anew. So a
 * tool runs once or is asked for again, never twice, and never is one dropped in silence.
 */
export function answersAfterRestart(
  { asked, calls }: Unanswered,
  answers: { resume: readonly ResumeEntry[]; results: readonly ToolMessage[] },
): { words: string; grants: Grant[] } | undefined {
  if (asked.length + calls.length === 0) return undefined
  const grants: Grant[] = []
  const lines = [
    ...asked.map((question) => answerLine(question, answers.resume, grants)),
    ...calls.map((call) => resultLine(call, answers.results)),
  ]
  const intro =
    'The session was restarted while these tool calls waited for an answer; none of them has a result yet. The answers are:'
  return { words: `${intro}\n${lines.join('\n')}`, grants }
}

function answerLine(asked: Asked, resume: readonly ResumeEntry[], grants: Grant[]): string {
  const { tool, input, interrupt } = asked
  const call = `${tool} ${JSON.stringify(input)}`
  const entry = resume.find(({ interruptId }) => interruptId === interrupt.id)
  if (entry === undefined) return `- ${call}: nobody answered; do not make this call.`
  const answer = readAnswer(asked, entry)
  if (!answer.approved) return `- ${call}: refused. ${answer.message}`
  const { updatedInput } = answer
  if (interrupt.reason === 'input_required') return `- ${call}: answered: ${JSON.stringify(updatedInput)}`
  grants.push({ asked, updatedInput })
  return `- ${call}: approved. Make the call now with exactly this input: ${JSON.stringify(updatedInput)}`
}

function resultLine({ toolCallId, tool, input }: ClientCall, results: readonly ToolMessage[]): string {
  const call = `${tool} ${JSON.stringify(input)}`
  const result = results.find((message) => message.toolCallId === toolCallId)
  if (result === undefined) return `- ${call}: the client gave no result.`
  if (result.error !== undefined) return `- ${call}: failed: ${result.error}`
  return `- ${call}: returned: ${typeof result.content === 'string' ? result.content : JSON.stringify(result.content)}`
}
