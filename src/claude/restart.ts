import type { ResumeEntry, Tool, ToolMessage } from '@ag-ui/core'
import type { RunRequest } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { type ClientCall, owedIds, skippedResults } from './host/client-tools.ts'
import { type Elicited, readElicited } from './host/elicitations.ts'
import { readAnswer } from './host/interrupts.ts'
import { type Asked, answeredEvent, type Grant } from './host/questions.ts'
import type { Memory } from './memory.ts'
import { type Prompt, skippedTools, toPrompt } from './translate/prompt.ts'

/** The questions and calls that waited for an answer when the process ended. */
export type Unanswered = Pick<Memory, 'asked' | 'calls' | 'unsaid'>

/** What the answers leave behind: for the next process, and for the log. */
interface Kept {
  grants: Grant[]
  events: AguiEvent[]
}

/** The call itself ended with its process, so no result of it comes. */
const RESTARTED = { restarted: true } as const

interface Answers extends Kept {
  blocks: Prompt['blocks']
}

/**
 * Decides what a run does with the pending questions and calls. Either `blocks` tell the model their answers before the
 * prompt, or results are still missing and `memory` keeps everything that the run brought.
 */
export function leftOpen(
  before: Memory,
  request: RunRequest,
  prompt: Prompt,
): { memory: Memory; pendingToolCallIds: string[] } | Answers {
  const memory = { ...before, calls: withResults(before.calls, resultsOf(request)) }
  const pendingToolCallIds = stillOwed(memory, request)
  if (pendingToolCallIds.length === 0)
    return answersAfterRestart(memory, request.resume ?? []) ?? { blocks: [], grants: [], events: [] }
  const unsaid = [...memory.unsaid, ...unsaidOf(prompt, memory)]
  return { memory: { ...memory, unsaid }, pendingToolCallIds }
}

/**
 * Returns the answers as text for the model, after the process that asked has ended. None of its calls has run. The
 * text says what became of each. An approved call that the model makes again passes once (`grants`); any other is
 * asked for anew. So a tool runs once or is asked for again. It never runs twice, and none is dropped in silence.
 *
 * @returns undefined when nothing was pending.
 */
export function answersAfterRestart(
  { asked, calls, unsaid }: Unanswered,
  resume: readonly ResumeEntry[],
): Answers | undefined {
  if (!isOwed({ asked, calls })) return undefined
  const kept: Kept = { grants: [], events: [] }
  const lines = [...asked.map((question) => answerLine(question, resume, kept)), ...calls.map(resultLine)]
  const intro =
    'The session was restarted while these tool calls waited for an answer. A call without a real result above has this answer:'
  const words = [`${intro}\n${lines.join('\n')}`, ...unsaid]
  return { blocks: words.map((text) => ({ type: 'text', text })), ...kept }
}

function answerLine(asked: Asked, resume: readonly ResumeEntry[], { grants, events }: Kept): string {
  if ('elicitation' in asked) return elicitedLine(asked, resume, { grants, events })
  const { tool, input, interrupt } = asked
  const call = `${tool} ${JSON.stringify(input)}`
  const entry = resume.find(({ interruptId }) => interruptId === interrupt.id)
  if (entry === undefined) return `- ${call}: nobody answered; do not make this call.`
  const answer = readAnswer(asked, entry)
  // What is remembered was remembered by the process that asked.
  events.push(answeredEvent(asked, answer.approved ? { ...answer, remember: false } : answer, RESTARTED))
  if (!answer.approved) return `- ${call}: refused. ${answer.message}`
  const { updatedInput, words } = answer
  if (interrupt.reason === 'input_required') return `- ${call}: answered: ${JSON.stringify(updatedInput)}`
  grants.push({ asked, updatedInput })
  return `- ${call}: approved. Make the call now with exactly this input: ${JSON.stringify(updatedInput)}${words === undefined ? '' : ` The person adds: ${words}`}`
}

/** Whether a question or a call is pending. */
export function isOwed({ asked, calls }: Pick<Memory, 'asked' | 'calls'>): boolean {
  return asked.length + calls.length > 0
}

/** Returns the results of the client's own tools that a run brings. */
export function resultsOf({ messages }: Pick<RunRequest, 'messages'>): ToolMessage[] {
  return messages.filter((message) => message.role === 'tool')
}

/** Describes the parts of the messages, results and tools that the model cannot be given. */
export function skippedParts(
  request: RunRequest,
  { turn, slashCommands }: { turn: { tools: readonly Tool[] } | undefined; slashCommands: boolean },
): string[] {
  const tools = turn === undefined ? [] : skippedTools(request.tools, turn)
  const { skipped } = toPrompt(request, { slashCommands, isMidTurn: turn !== undefined })
  return [...skipped, ...skippedResults(resultsOf(request)), ...tools]
}

/** The call in which the server asked has ended with the process. When it is made again, `grants` holds the answer. */
function elicitedLine(asked: Elicited, resume: readonly ResumeEntry[], { grants, events }: Kept): string {
  const { elicitation, interrupt } = asked
  const question = `The MCP server ${elicitation.server} asked during its call: ${JSON.stringify(elicitation.message)}`
  const entry = resume.find(({ interruptId }) => interruptId === interrupt.id)
  if (entry === undefined) return `- ${question}: nobody answered; do not make this call again.`
  const result = readElicited(asked, entry)
  events.push(answeredEvent(asked, result, RESTARTED))
  if (result.action !== 'accept')
    return `- ${question}: the person did not accept (${result.action}); do not make this call again.`
  grants.push({ elicitation, result })
  return `- ${question}: answered. Make the call now with exactly the same input; the server then gets the answer.`
}

/** Returns the calls with the results that the client has sent now or before. */
export function withResults(calls: readonly ClientCall[], results: readonly ToolMessage[]): ClientCall[] {
  return calls.map(({ brought, ...call }) => {
    const result = call.result ?? resultFor(call, results) ?? brought
    return result === undefined ? call : { ...call, result }
  })
}

/** Returns the calls to store ahead of the run that brings these results, so that a kill in its middle loses none. */
export function withBrought(calls: readonly ClientCall[], results: readonly ToolMessage[]): ClientCall[] {
  return calls.map((call) => {
    const brought = resultFor(call, results) ?? call.brought
    return brought === undefined ? call : { ...call, brought }
  })
}

function resultFor(call: ClientCall, results: readonly ToolMessage[]): ToolMessage | undefined {
  return results.find(({ toolCallId }) => toolCallId === call.toolCallId)
}

/** Returns the new words of a run that only brings results. They are kept for the run that brings the last result. */
export function unsaidOf({ blocks }: Prompt, { unsaid }: Pick<Unanswered, 'unsaid'>): string[] {
  const words = blocks.flatMap((block) =>
    block.type === 'text' && block.text.trim() !== '' ? [block.text] : [],
  )
  return words.filter((text) => !unsaid.includes(text))
}

/**
 * Returns the ids of the calls whose results a client still owes when it brings only results. The model gets them when
 * all are there, as it would from the process that asked. A client that also says something continues without them.
 */
export function stillOwed(
  { asked, calls }: Pick<Unanswered, 'asked' | 'calls'>,
  { messages, resume = [] }: Pick<RunRequest, 'messages' | 'resume'>,
): string[] {
  const isMore = asked.length + resume.length > 0 || messages.some(({ role }) => role === 'user')
  return isMore ? [] : owedIds(calls)
}

function resultLine({ tool, input, result }: ClientCall): string {
  const call = `${tool} ${JSON.stringify(input)}`
  if (result === undefined) return `- ${call}: the client gave no result.`
  const content = typeof result.content === 'string' ? result.content : JSON.stringify(result.content)
  if (result.error === undefined) return `- ${call}: returned: ${content}`
  const given = ['', '[]', result.error].includes(content) ? '' : `; it returned before: ${content}`
  return `- ${call}: failed: ${result.error}${given}`
}
