// Whether a stream of events is AG-UI 1.0: the protocol's schema read strictly, the reference client's own pipeline,
// and the rules that neither of them checks (agui-1.0-producer.md D2).
import { HttpAgent } from '@ag-ui/client'
import { EventType, type Message } from '@ag-ui/core'
import { EventSchema, type TokenUsageSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'

export interface Verdict {
  problems: string[]
  /** What the reference client makes of the stream. */
  messages: Message[]
}

export async function judge(events: readonly unknown[]): Promise<Verdict> {
  const problems = events.flatMap((event, at) => shapeProblems(event, at))
  if (problems.length > 0) return { problems, messages: [] }
  const known = events.map((event) => EventSchema.parse(event))
  const client = await applyByClient(known)
  return { problems: [...orderProblems(known), ...client.problems], messages: client.messages }
}

type KnownEvent = z.output<typeof EventSchema>

/** The protocol's schemas are open; a producer's events must not be. */
const StrictEventSchema = z.union(EventSchema.options.map(closed))

function closed(schema: z.core.$ZodType): z.ZodType {
  if (schema instanceof z.ZodObject) {
    const shape = Object.entries(schema.shape).map(([key, member]) => [key, closed(member)] as const)
    return z.strictObject(Object.fromEntries(shape))
  }
  if (schema instanceof z.ZodOptional) return closed(schema.unwrap()).optional()
  if (schema instanceof z.ZodArray) return z.array(closed(schema.element))
  if (schema instanceof z.ZodUnion) return z.union(schema.options.map(closed))
  if (schema instanceof z.ZodType) return schema
  throw new Error('A schema of a kind this judge does not know.')
}

function shapeProblems(event: unknown, at: number): string[] {
  const parsed = StrictEventSchema.safeParse(event)
  return parsed.success ? [] : [`event ${at} ${JSON.stringify(event).slice(0, 200)}: not in the schema`]
}

/** Transport, enforceEvents, transformChunks, verifyEvents and apply, as a client of the reference runs them. */
async function applyByClient(events: readonly unknown[]): Promise<Verdict> {
  const body = events.map((event) => `data: ${JSON.stringify(event)}\n\n`).join('')
  const agent = new HttpAgent({
    url: 'http://agui.invalid/',
    threadId: 'thread-1',
    fetch: async () => new Response(body, { headers: { 'content-type': 'text/event-stream' } }),
  })
  const problems: string[] = []
  const { warn, error } = console
  console.warn = (...words: unknown[]): void => void problems.push(`the client warns: ${words.join(' ')}`)
  console.error = () => undefined
  try {
    await agent.runAgent()
  } catch (failure) {
    problems.push(`the client rejects: ${failure instanceof Error ? failure.message : String(failure)}`)
  } finally {
    console.warn = warn
    console.error = error
  }
  return { problems, messages: agent.messages }
}

function orderProblems(events: readonly KnownEvent[]): string[] {
  return [
    ...lifecycleProblems(events),
    ...idProblems(events),
    ...resultProblems(events),
    ...contentProblems(events),
  ]
}

function lifecycleProblems(events: readonly KnownEvent[]): string[] {
  const problems: string[] = []
  let run: { threadId: string; runId: string } | undefined
  const threads = new Set<string>()
  const runs = new Set<string>()
  events.forEach((event, at) => {
    if (event.type === EventType.RUN_STARTED) {
      if (event.protocolVersion !== '1.0') problems.push(`event ${at}: protocolVersion is not "1.0"`)
      if (runs.has(event.runId)) problems.push(`event ${at}: run id ${event.runId} again`)
      runs.add(event.runId)
      threads.add(event.threadId)
      run = event
    } else if (run === undefined) problems.push(`event ${at}: ${event.type} outside a run`)
    if (event.type === EventType.RUN_FINISHED) {
      if (event.runId !== run?.runId) problems.push(`event ${at}: ends run ${event.runId}, not ${run?.runId}`)
      if (event.outcome?.type !== 'success' && event.result !== undefined) {
        problems.push(`event ${at}: a result without success`)
      }
    }
    if (event.type === EventType.RUN_FINISHED || event.type === EventType.RUN_ERROR) {
      problems.push(...usageProblems(event.usage, at))
      run = undefined
    }
  })
  if (run !== undefined || runs.size === 0) problems.push('the last run has no terminal event')
  if (threads.size > 1) problems.push('runs of several threads')
  return problems
}

type Usage = z.output<typeof TokenUsageSchema>

function usageProblems(usage: readonly Usage[] | undefined, at: number): string[] {
  const keys = (usage ?? []).map((entry) => `${entry.provider ?? ''}/${entry.model ?? ''}`)
  const wrong = (usage ?? []).filter(({ inputTokens = 0, outputTokens = 0, totalTokens, ...parts }) => {
    const prompt = (parts.cachedInputTokens ?? 0) + (parts.cacheWriteInputTokens ?? 0)
    const total = totalTokens !== undefined && totalTokens !== inputTokens + outputTokens
    return total || prompt > inputTokens || (parts.reasoningTokens ?? 0) > outputTokens
  })
  return [
    ...(new Set(keys).size === keys.length ? [] : [`event ${at}: usage names a model twice`]),
    ...wrong.map((entry) => `event ${at}: usage does not add up: ${JSON.stringify(entry)}`),
  ]
}

/** No id opens twice on the thread, and none stands for two kinds of thing. */
function idProblems(events: readonly KnownEvent[]): string[] {
  const kinds = new Map<string, string>()
  return events.flatMap((event, at) => {
    const opened = openedBy(event)
    if (opened === undefined) return []
    const before = kinds.get(opened.id)
    kinds.set(opened.id, opened.kind)
    return before === undefined ? [] : [`event ${at}: ${opened.kind} ${opened.id} was a ${before} before`]
  })
}

function openedBy(event: KnownEvent): { kind: string; id: string } | undefined {
  switch (event.type) {
    case EventType.TEXT_MESSAGE_START:
      return { kind: 'text message', id: event.messageId }
    case EventType.REASONING_MESSAGE_START:
      return { kind: 'reasoning message', id: event.messageId }
    case EventType.TOOL_CALL_START:
      return { kind: 'tool call', id: event.toolCallId }
    case EventType.TOOL_CALL_RESULT:
      return { kind: 'tool message', id: event.messageId }
    default:
      return undefined
  }
}

function resultProblems(events: readonly KnownEvent[]): string[] {
  const started = new Set<string>()
  const answered = new Set<string>()
  const subagents = new Set<string>()
  return events.flatMap((event, at) => {
    const problems: string[] = []
    if (event.type === EventType.TOOL_CALL_START) started.add(event.toolCallId)
    if (event.type === EventType.SUBAGENT_STARTED) subagents.add(event.subagentRunId)
    if (event.type === EventType.TOOL_CALL_RESULT) {
      if (!started.has(event.toolCallId)) problems.push(`event ${at}: result of no call ${event.toolCallId}`)
      if (answered.has(event.toolCallId)) problems.push(`event ${at}: second result of ${event.toolCallId}`)
      answered.add(event.toolCallId)
    }
    const owner = 'subagentRunId' in event ? event.subagentRunId : undefined
    if (typeof owner === 'string' && !subagents.has(owner))
      problems.push(`event ${at}: ${owner} was never announced`)
    return problems
  })
}

const LONE_SURROGATE = /\p{Surrogate}/u

function contentProblems(events: readonly KnownEvent[]): string[] {
  return events.flatMap((event, at) => {
    const delta: unknown = 'delta' in event ? event.delta : undefined
    if (typeof delta !== 'string') return []
    if (delta === '') return [`event ${at}: an empty delta`]
    return LONE_SURROGATE.test(delta) ? [`event ${at}: half a character`] : []
  })
}
