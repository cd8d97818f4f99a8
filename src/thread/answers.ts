import { isDeepStrictEqual } from 'node:util'
import type { Interrupt, Message, ResumeEntry, ToolMessage } from '@ag-ui/core'
import { z } from 'zod'
import { parseNulls } from '../absent-null.ts'
import type { AgentSession } from '../agent/agent.ts'
import { resultIdOf } from '../agui/result-id.ts'
import { RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'

const Payload = z.looseObject({
  editedArgs: z.record(z.string(), z.unknown()).optional(),
  answers: z.record(z.string(), z.unknown()).optional(),
})
const Asked = z.looseObject({
  'agui-runner': z.looseObject({ input: z.record(z.string(), z.unknown()) }),
})

export interface Answers {
  /** One entry for each open interrupt that is answered. */
  resume: ResumeEntry[]
  /** The entries that answer nothing, in words. The run continues without them (agui-1.0-producer.md A8.58). */
  skipped: string[]
}

/**
 * Finds the entry that answers each open interrupt. Two that differ are refused: of a yes and a no, neither counts. A
 * thread that waits for a person does not continue without an answer, not even for a client that does not know the
 * question (agui-1.0-producer.md A8.59).
 *
 * @throws {RunnerError} `interrupt_open`, `invalid_input`.
 */
export function openAnswers(
  resume: readonly ResumeEntry[] = [],
  { agent, redactor, isRunning }: { agent: AgentSession; redactor: Redactor; isRunning: boolean },
): Answers {
  const { interrupts } = agent
  const answers = new Map<string, { entry: ResumeEntry; answer: ResumeEntry }>()
  const skipped: string[] = []
  for (const entry of resume) {
    const { interruptId } = entry
    const known = answers.get(interruptId)
    const interrupt = interrupts.find(({ id }) => id === interruptId)
    if (interrupt === undefined) skipped.push(`an answer to interrupt "${interruptId}", which is not open`)
    else if (known === undefined) {
      answers.set(interruptId, { entry, answer: restoreAnswer(entry, interrupt, redactor) })
      if (entry.status === 'cancelled' && entry.payload !== undefined)
        skipped.push(`the payload of the answer to interrupt "${interruptId}", which is cancelled`)
    } else if (isDeepStrictEqual(known.entry, entry))
      skipped.push(`a second answer to interrupt "${interruptId}"`)
    else {
      const message = `resume answers interrupt "${interruptId}" in two ways; send one answer.`
      throw new RunnerError('invalid_input', message)
    }
  }
  if (interrupts.length === 0 || answers.size > 0 || isRunning)
    return { resume: [...answers.values()].map(({ answer }) => answer), skipped }
  const message = 'This thread waits for an answer: send resume entries for the interrupts in details.'
  throw new RunnerError('interrupt_open', message, { details: { interrupts } })
}

export interface Results {
  /** One result for each pending call that is answered. */
  results: ToolMessage[]
  /** The results that answer no call and are no history, in words. */
  skipped: string[]
}

/**
 * Finds the results of the client's own tools, the first of each pending call. The result of another call is history when
 * the call stands in the history too, or when this runner has sent it: `@assistant-ui/react-ag-ui` 0.0.58 keeps the results
 * of a subagent's calls without the calls, in every run.
 */
export function owedResults(
  messages: readonly Message[],
  { pendingToolCallIds }: Pick<AgentSession, 'pendingToolCallIds'>,
): Results {
  const made = new Map(
    messages.flatMap((message) =>
      message.role === 'assistant'
        ? (message.toolCalls ?? []).map((call) => [call.id, call.function.name])
        : [],
    ),
  )
  const first = new Map<string, ToolMessage>()
  const skipped: string[] = []
  for (const message of messages) {
    if (message.role !== 'tool') continue
    const { id, toolCallId } = message
    // The call's id is the model's. The message's id and the tool's name say more to whoever sent them.
    const tool = made.get(toolCallId)
    const ofCall = `of call "${toolCallId}"${tool === undefined ? '' : ` (${tool})`}`
    const isOwed = pendingToolCallIds.includes(toolCallId)
    const before = first.get(toolCallId)
    const isHistory = made.has(toolCallId) || id === resultIdOf(toolCallId)
    if (!isOwed && !isHistory) skipped.push(`the result "${id}" ${ofCall}, which waits for none`)
    else if (before === undefined) first.set(toolCallId, message)
    else if (isOwed || !saysTheSame(before, message))
      skipped.push(`the result "${id}" ${ofCall}, its second one`)
  }
  return {
    results: [...first.values()].filter(({ toolCallId }) => pendingToolCallIds.includes(toolCallId)),
    skipped,
  }
}

function saysTheSame(one: ToolMessage, other: ToolMessage): boolean {
  return JSON.stringify([one.content, one.error]) === JSON.stringify([other.content, other.error])
}

/**
 * Restores the secrets in the answer to an interrupt. A client knows a call's input without them, and sends back what it
 * was shown when it edits other parts of the input or names a question.
 *
 * @throws {RunnerError} `invalid_input` for arguments in which a marker would remain.
 */
function restoreAnswer(entry: ResumeEntry, interrupt: Interrupt, redactor: Redactor): ResumeEntry {
  const payload = parseNulls(Payload, entry.payload)
  const asked = Asked.safeParse(interrupt.metadata)
  if (!payload.success || !asked.success) return entry
  const { editedArgs, answers } = payload.data
  const { input } = asked.data['agui-runner']
  const restored = {
    ...payload.data,
    ...(editedArgs && { editedArgs: redactor.restore(editedArgs, { original: input, name: 'editedArgs' }) }),
    ...(answers && { answers: restoreWords(answers, input, redactor) }),
  }
  return { ...entry, payload: restored }
}

/** Restores questions and options from their shown words. Any other answer is the person's own words. */
function restoreWords(
  answers: Record<string, unknown>,
  input: unknown,
  { redactText }: Redactor,
): Record<string, unknown> {
  const originals = new Map<string, Set<string>>()
  for (const words of wordsIn(input)) {
    const shown = redactText(words)
    originals.set(shown, (originals.get(shown) ?? new Set()).add(words))
  }
  // Two originals with the same shown words cannot be told apart.
  const original = (shown: string): string => {
    const [only = shown, another] = originals.get(shown) ?? []
    return another === undefined ? only : shown
  }
  const inAnswer = (answer: unknown): unknown => (typeof answer === 'string' ? original(answer) : answer)
  return Object.fromEntries(
    Object.entries(answers).map(([question, answer]) => [
      original(question),
      Array.isArray(answer) ? answer.map(inAnswer) : inAnswer(answer),
    ]),
  )
}

function wordsIn(value: unknown): string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(wordsIn) : []
}
