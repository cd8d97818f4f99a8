import type { TokenUsage } from '@ag-ui/core'
import { z } from 'zod'
import type { ModelCall } from '../agent/trace.ts'

/** The fields that are read of a message. Others are ignored. */
const Heard = z.looseObject({
  type: z.string(),
  subtype: z.string().optional().catch(undefined),
  status: z.unknown().optional(),
  error: z.string().optional().catch(undefined),
  retry_delay_ms: z.number().optional().catch(undefined),
  parent_tool_use_id: z.string().nullish().catch(undefined),
  event: z.unknown().optional(),
  message: z.unknown().optional(),
})

const Usage = z.looseObject({
  input_tokens: z.number().optional().catch(undefined),
  output_tokens: z.number().optional().catch(undefined),
  cache_read_input_tokens: z.number().optional().catch(undefined),
  cache_creation_input_tokens: z.number().optional().catch(undefined),
})
type Usage = z.infer<typeof Usage>

const Answer = z.looseObject({
  id: z.string(),
  model: z.string().optional().catch(undefined),
  stop_reason: z.string().nullish().catch(undefined),
  usage: Usage.optional().catch(undefined),
})
const StreamEvent = z.discriminatedUnion('type', [
  z.object({ type: z.literal('message_start'), message: Answer }),
  z.object({
    type: z.literal('message_delta'),
    delta: z.looseObject({ stop_reason: z.string().nullish().catch(undefined) }),
    usage: Usage.optional().catch(undefined),
  }),
  z.object({ type: z.literal('message_stop') }),
])

/** The most frequent event. It says nothing about a model call. */
const DELTA = 'content_block_delta'
/** The model's name in a message that Claude Code made up. */
const SYNTHETIC = '<synthetic>'

/** One sender of requests to the model: the agent itself, or the subagent of one tool call. */
interface Lane {
  /** The owner's fields of `ModelCall`. */
  owner: { parentToolCallId?: string }
  /** Time of the request, in milliseconds since the epoch; for a subagent the earliest possible time. */
  askedAt?: number | undefined
  answer?: { id: string; call: ModelCall; usage: Usage; isStreamed: boolean } | undefined
}

/**
 * Derives the requests to the model from Claude Code's messages. For the agent itself Claude Code reports each request
 * and streams the answer. For a subagent it sends whole blocks only: a call begins with the last input to the model and
 * lasts until its last block, and the tokens of its answer are unknown.
 */
export class ModelCalls {
  readonly #lanes = new Map<string, Lane>()
  readonly #toolCallId: (toolUseId: string) => string

  constructor(toolCallId: (toolUseId: string) => string) {
    this.#toolCallId = toolCallId
  }

  /** Takes a message of Claude Code. Returns the calls that it shows to be over. */
  hear(raw: unknown, now = Date.now()): ModelCall[] {
    if (isDelta(raw)) return []
    const { data: heard } = Heard.safeParse(raw)
    if (heard === undefined) return []
    const parent = heard.parent_tool_use_id ?? ''
    const lane = this.#lane(parent)
    switch (heard.type) {
      case 'system':
        if (heard.subtype === 'status' && heard.status === 'requesting') lane.askedAt ??= now
        return heard.subtype === 'api_retry' ? this.#retried(lane, heard, now) : []
      case 'stream_event':
        return this.#streamed(parent, heard.event, now)
      case 'assistant':
        return this.#whole(parent, heard, now)
      case 'user': {
        if (parent === '') return []
        lane.askedAt = now
        return end(lane)
      }
      default:
        return []
    }
  }

  /** Ends the calls in progress when no message follows. `error` says why a call has no whole answer. */
  close(error: string | undefined, now = Date.now()): ModelCall[] {
    const open = [...this.#lanes.values()].flatMap((lane) =>
      error === undefined || lane.answer?.isStreamed === false ? end(lane) : failed(lane, error, now),
    )
    this.#lanes.clear()
    return open
  }

  #lane(parent: string): Lane {
    const known = this.#lanes.get(parent)
    if (known !== undefined) return known
    const lane: Lane = { owner: parent === '' ? {} : { parentToolCallId: this.#toolCallId(parent) } }
    this.#lanes.set(parent, lane)
    return lane
  }

  #retried(lane: Lane, { error = 'unknown', retry_delay_ms: delay = 0 }: z.infer<typeof Heard>, now: number) {
    const ended = failed(lane, error, now)
    // Claude Code asks again after a pause.
    lane.askedAt = now + delay
    return ended
  }

  #streamed(parent: string, event: unknown, now: number): ModelCall[] {
    const { data } = StreamEvent.safeParse(event)
    const lane = this.#lane(parent)
    if (data?.type === 'message_start') {
      const ended = end(lane)
      begin(lane, { answer: data.message, isStreamed: true, now })
      return ended
    }
    const { answer } = lane
    if (data === undefined || answer === undefined) return []
    answer.call.endedAt = now
    if (data.type === 'message_stop') return end(lane)
    answer.usage = { ...answer.usage, ...data.usage }
    if (typeof data.delta.stop_reason === 'string') answer.call.stopReason = data.delta.stop_reason
    return []
  }

  #whole(parent: string, heard: z.infer<typeof Heard>, now: number): ModelCall[] {
    const { data: message } = Answer.safeParse(heard.message)
    if (message === undefined) return []
    const lane = this.#lane(parent)
    if (message.model === SYNTHETIC) return heard.error === undefined ? [] : failed(lane, heard.error, now)
    if (lane.answer?.id === message.id) {
      lane.answer.call.endedAt = now
      return []
    }
    // All answers of the agent itself are streamed, so this one was counted already.
    if (parent === '') return []
    const ended = end(lane)
    const { output_tokens: _unknown, ...usage } = message.usage ?? {}
    begin(lane, { answer: { ...message, usage }, isStreamed: false, now })
    return ended
  }
}

interface Beginning {
  answer: z.infer<typeof Answer>
  isStreamed: boolean
  now: number
}

function begin(lane: Lane, { answer, isStreamed, now }: Beginning): void {
  const call: ModelCall = {
    ...lane.owner,
    startedAt: lane.askedAt ?? now,
    ...(isStreamed && { answeredAt: now }),
    endedAt: now,
    responseId: answer.id,
    ...(answer.model !== undefined && { model: answer.model }),
    ...(typeof answer.stop_reason === 'string' && { stopReason: answer.stop_reason }),
  }
  lane.answer = { id: answer.id, call, usage: answer.usage ?? {}, isStreamed }
  lane.askedAt = undefined
}

function isDelta(raw: unknown): boolean {
  if (typeof raw !== 'object' || raw === null || !('event' in raw)) return false
  const { event } = raw
  return typeof event === 'object' && event !== null && 'type' in event && event.type === DELTA
}

function end(lane: Lane): ModelCall[] {
  const { answer } = lane
  lane.answer = undefined
  if (answer === undefined) return []
  const usage = toTokenUsage(answer.usage)
  return [{ ...answer.call, ...(usage !== undefined && { usage }) }]
}

/** Ends the pending call, or the one whose answer came in part, with an error. Empty when nothing was asked. */
function failed(lane: Lane, error: string, now: number): ModelCall[] {
  const { askedAt } = lane
  lane.askedAt = undefined
  const [part] = end(lane)
  if (part !== undefined) return [{ ...part, endedAt: now, error }]
  return askedAt === undefined
    ? []
    : [{ ...lane.owner, startedAt: Math.min(askedAt, now), endedAt: now, error }]
}

/** Converts the counts: Anthropic counts cached prompt tokens beside the input, AG-UI includes them in it. */
function toTokenUsage(usage: Usage): TokenUsage | undefined {
  const { input_tokens: input, output_tokens: output } = usage
  const { cache_read_input_tokens: cached, cache_creation_input_tokens: written } = usage
  if (input === undefined && output === undefined) return undefined
  return {
    ...(input !== undefined && { inputTokens: input + (cached ?? 0) + (written ?? 0) }),
    ...(output !== undefined && { outputTokens: output }),
    ...(cached !== undefined && { cachedInputTokens: cached }),
    ...(written !== undefined && { cacheWriteInputTokens: written }),
  }
}
