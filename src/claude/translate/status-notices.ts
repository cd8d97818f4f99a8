// Conversions into CUSTOM events that need more than a change of names: Claude Code's remarks beside the conversation.
import { z } from 'zod'
import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import type { EventOwner } from './blocks.ts'
import type { Calls } from './calls.ts'
import type { InitMessage, ResultMessage } from './messages.ts'
import type { ApiError } from './rejected-input.ts'
import { hookStopOf, limitOf, type TurnSigns } from './run-end.ts'
import { amount, text } from './tolerant-fields.ts'

const StatusSchema = z.object({
  status: text.nullable().catch(null),
  permissionMode: text,
  compact_result: text,
  compact_error: text,
})

export function statusNotices(message: unknown): AguiEvent[] {
  const status = StatusSchema.parse(message)
  const out: AguiEvent[] = []
  if (status.permissionMode !== undefined)
    out.push(ownEvent('permission_mode', { mode: status.permissionMode }))
  if (status.compact_result !== undefined) {
    out.push(ownEvent('compaction', { state: status.compact_result, error: status.compact_error }))
  } else if (status.status === 'compacting') {
    out.push(ownEvent('compaction', { state: 'started' }))
  }
  return out
}

const CompactSchema = z.object({
  compact_metadata: z
    .object({ trigger: text, pre_tokens: amount, post_tokens: amount, duration_ms: amount })
    .catch({ trigger: undefined, pre_tokens: undefined, post_tokens: undefined, duration_ms: undefined }),
})

export function compactedNotice(message: unknown): AguiEvent {
  const { compact_metadata: facts } = CompactSchema.parse(message)
  return ownEvent('compacted', {
    trigger: facts.trigger,
    tokensBefore: facts.pre_tokens,
    tokensAfter: facts.post_tokens,
    durationMs: facts.duration_ms,
  })
}

/** Reports the MCP servers only when one is not connected. Otherwise the list would begin every run. */
export function mcpNotices(init: InitMessage): AguiEvent[] {
  const servers = init.mcp_servers ?? []
  return servers.some((server) => server.status !== 'connected') ? [ownEvent('mcp_servers', { servers })] : []
}

const ProgressSchema = z.object({
  tool_use_id: z.string(),
  tool_name: text,
  parent_tool_use_id: text.nullable().catch(null),
  elapsed_time_seconds: amount,
})

export function progressNotice(message: unknown, calls: Calls): AguiEvent | undefined {
  const progress = ProgressSchema.safeParse(message).data
  if (progress === undefined) return undefined
  // A heartbeat has an id of its own and names the call as its parent.
  const parent = progress.parent_tool_use_id ?? ''
  const call = calls.get(progress.tool_use_id) ?? calls.get(parent)
  return ownEvent(
    'tool_progress',
    {
      toolCallId: call?.id ?? progress.tool_use_id,
      toolName: progress.tool_name,
      elapsedSeconds: progress.elapsed_time_seconds,
    },
    call?.owner,
  )
}

const DeniedSchema = z.object({
  tool_use_id: z.string(),
  tool_name: text,
  decision_reason_type: text,
  decision_reason: text,
  message: text,
})

export function deniedNotice(message: unknown, calls: Calls): AguiEvent | undefined {
  const denied = DeniedSchema.safeParse(message).data
  if (denied === undefined) return undefined
  const call = calls.get(denied.tool_use_id)
  return ownEvent(
    'permission_denied',
    {
      toolCallId: call?.id ?? denied.tool_use_id,
      toolName: denied.tool_name,
      reasonType: denied.decision_reason_type,
      reason: denied.decision_reason,
      message: denied.message,
    },
    call?.owner,
  )
}

const FallbackSchema = z.object({
  original_model: text,
  fallback_model: text,
  api_refusal_category: text.nullable().catch(null),
  api_refusal_explanation: text.nullable().catch(null),
  content: text,
  retracted_message_uuids: z.array(z.string()).catch([]),
})

export function fallbackNotice(message: unknown): { event: AguiEvent; retracted: string[] } {
  const fallback = FallbackSchema.parse(message)
  const event = ownEvent('model_fallback', {
    from: fallback.original_model,
    to: fallback.fallback_model,
    category: fallback.api_refusal_category ?? undefined,
    explanation: fallback.api_refusal_explanation ?? undefined,
    text: fallback.content,
  })
  return { event, retracted: fallback.retracted_message_uuids }
}

/** Returns facts without a field in the run's end: the limit or hook that ended it, a failed request it survived. */
export function endNotices(
  result: ResultMessage,
  { outcome }: { outcome: string },
  signs: TurnSigns & { hookReason: string | undefined },
): AguiEvent[] {
  const out: AguiEvent[] = []
  const limit = limitOf(result)
  const reason = hookStopOf(result, signs)
  if (limit !== undefined) out.push(ownEvent('limit_reached', { limit, message: result.errors?.join('\n') }))
  if (reason !== undefined)
    out.push(ownEvent('turn_stopped', { by: 'hook', reason, message: signs.hookReason }))
  if (outcome !== 'error' && signs.apiError !== undefined) out.push(apiErrorNotice(signs.apiError, {}))
  return out
}

/** Returns the event of a request that failed without ending the run. */
export function apiErrorNotice(error: ApiError, owner: EventOwner): AguiEvent {
  return ownEvent(
    'api_error',
    { error: error.error, status: error.status ?? undefined, message: error.message },
    owner,
  )
}
