import { EventType } from '@ag-ui/core'
import { z } from 'zod'
import type { AguiEvent } from './event.ts'

const text = z.string()
const texts = z.array(text).readonly()
const amount = z.number()
const flag = z.boolean()

/**
 * The value of each `CUSTOM agui-runner.<name>` event: everything that AG-UI has no event for. docs/events.md says what
 * each means; a test compares it with this table, member by member.
 */
export const OWN_EVENTS = {
  api_retry: z.object({
    attempt: amount,
    maxRetries: amount.optional(),
    delayMs: amount.optional(),
    status: amount.optional(),
    error: text.optional(),
  }),
  api_error: z.object({ error: text, status: amount.optional(), message: text }),
  retracted: z.object({ reason: text, messageIds: texts, toolCallIds: texts }),
  injected_message: z.object({ reason: text, text }),
  message_state: z.object({ messageId: text, state: text }),
  limit_reached: z.object({ limit: z.enum(['turns', 'cost']), message: text.optional() }),
  turn_stopped: z.object({ by: z.literal('hook'), reason: text, message: text.optional() }),
  model_fallback: z.object({
    from: text.optional(),
    to: text.optional(),
    category: text.optional(),
    explanation: text.optional(),
    text: text.optional(),
  }),
  model_refusal: z.object({
    model: text.optional(),
    category: text.optional(),
    explanation: text.optional(),
  }),
  compaction: z.object({ state: text, error: text.optional() }),
  compacted: z.object({
    trigger: text.optional(),
    tokensBefore: amount.optional(),
    tokensAfter: amount.optional(),
    durationMs: amount.optional(),
  }),
  conversation_reset: z.object({ trigger: text.optional() }),
  permission_mode: z.object({ mode: text }),
  permission_denied: z.object({
    toolCallId: text,
    toolName: text.optional(),
    reasonType: text.optional(),
    reason: text.optional(),
    message: text.optional(),
  }),
  mcp_servers: z.object({ servers: z.array(z.object({ name: text, status: text })) }),
  mcp_waiting: z.object({ servers: texts, waitedMs: amount }),
  thinking_tokens: z.object({ estimatedTokens: amount }),
  tool_progress: z.object({
    toolCallId: text,
    toolName: text.optional(),
    elapsedSeconds: amount.optional(),
  }),
  tool_summary: z.object({ summary: text, toolCallIds: texts.optional() }),
  task: z.object({
    taskId: text,
    state: text,
    toolCallId: text.optional(),
    taskType: text.optional(),
    description: text.optional(),
    background: flag.optional(),
    summary: text.optional(),
    error: text.optional(),
    lastTool: text.optional(),
    usage: z
      .object({
        totalTokens: amount.optional(),
        toolUses: amount.optional(),
        durationMs: amount.optional(),
      })
      .optional(),
  }),
  background_tasks: z.object({
    tasks: z.array(
      z.object({
        taskId: text,
        taskType: text.optional(),
        subagentType: text.optional(),
        description: text.optional(),
        ambient: flag.optional(),
      }),
    ),
  }),
  hook: z.object({
    state: z.enum(['started', 'progress', 'finished']),
    hookId: text.optional(),
    name: text.optional(),
    event: text.optional(),
    outcome: text.optional(),
    exitCode: amount.optional(),
    output: text.optional(),
  }),
  notice: z.object({
    text,
    level: text.optional(),
    key: text.optional(),
    toolCallId: text.optional(),
    stopsTurn: flag.optional(),
  }),
  rate_limit: z.object({
    status: text.optional(),
    limit: text.optional(),
    utilization: amount.optional(),
    resetsAt: amount.optional(),
  }),
  memory_recall: z.object({
    mode: text.optional(),
    memories: z.array(z.object({ path: text, scope: text.optional() })),
  }),
  files_persisted: z.object({ files: z.unknown().optional(), failed: z.unknown().optional() }),
  plugin_install: z.object({ status: text.optional(), name: text.optional(), error: text.optional() }),
  elicitation_declined: z.object({
    server: text,
    message: text,
    mode: z.enum(['form', 'url']),
    url: text.optional(),
  }),
  elicitation_complete: z.object({ server: text.optional(), elicitationId: text.optional() }),
  session_writes_lost: z.object({ error: text.optional(), lost: texts.optional() }),
  prompt_suggestion: z.object({ suggestion: text }),
  active_goal: z.object({ goal: z.unknown().optional() }),
  unknown: z.object({ kind: text, message: z.unknown().optional(), chars: amount.optional() }),
  taken_back: z.object({ afterSeq: amount }),
  session_reset: z.object({ claudeSessionId: text, reason: text }),
  content_skipped: z.object({ parts: texts }),
  message_pending: z.object({
    messageId: text,
    name: text.optional(),
    content: text,
    /** The media of the message, as AG-UI content parts; absent in records of an earlier version. */
    parts: z
      .array(z.looseObject({ type: text }))
      .readonly()
      .optional(),
  }),
  message_queued: z.object({ messageId: text, runId: text }),
  withdrawn: z.object({ messageIds: texts, words: text }),
  answered: z.object({
    interruptId: text,
    toolCallId: text.optional(),
    decision: z.enum(['approved', 'refused', 'answered', 'dismissed']),
    scope: z.literal('session').optional(),
    message: text.optional(),
    at: amount,
    restarted: z.literal(true).optional(),
  }),
  tool_call_edited: z.object({ toolCallId: text, args: z.record(text, z.unknown()) }),
  policy_denied: z.object({
    host: text,
    port: amount,
    method: text.optional(),
    rule: text.optional(),
    reason: text,
  }),
  gap: z.object({ firstSeq: amount, lastSeq: amount }),
  workspace_problems: z.object({ problems: texts }),
  steered: z.object({ intoRunId: text }),
  cancelled: z.object({ reason: text }),
  subagent: z.looseObject({ type: text, subagentRunId: text }),
} as const satisfies Record<string, z.ZodObject>

export type OwnEventName = keyof typeof OWN_EVENTS
export type OwnEventValue<N extends OwnEventName> = z.output<(typeof OWN_EVENTS)[N]>

const SCHEMAS: { readonly [N in OwnEventName]: z.ZodType<OwnEventValue<N>> } = OWN_EVENTS
const PREFIX = 'agui-runner.'

/** The event's name on the wire. */
export function ownName(name: OwnEventName): string {
  return `${PREFIX}${name}`
}

/** Creates the event without its undefined members. `owner` is empty for the main agent. */
export function ownEvent<N extends OwnEventName>(
  name: N,
  value: OwnEventValue<N>,
  owner: { readonly subagentRunId?: string } = {},
): AguiEvent {
  return { type: EventType.CUSTOM, name: ownName(name), value: withoutAbsent(value), ...owner }
}

/** Returns the value when `event` has this name and fits its schema. */
export function readOwn<N extends OwnEventName>(
  name: N,
  event: { readonly name: string; readonly value?: unknown },
): OwnEventValue<N> | undefined {
  return event.name === ownName(name) ? SCHEMAS[name].safeParse(event.value).data : undefined
}

function withoutAbsent(value: object): object {
  return Object.fromEntries(Object.entries(value).filter(([, member]) => member !== undefined))
}
