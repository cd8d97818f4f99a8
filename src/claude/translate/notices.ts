import { z } from 'zod'
import type { AguiEvent } from '../../agui/event.ts'
import { type OwnEventName, type OwnEventValue, ownEvent } from '../../agui/own-events.ts'
import type { EventOwner } from './blocks.ts'
import { kindOf } from './messages.ts'
import { amount, flag, text, texts } from './tolerant-fields.ts'

const anything = z.unknown().optional()

/** Converts one message. Returns undefined when the message is invalid. */
type Notice = (message: unknown) => AguiEvent | undefined

/** Defines how one kind of message becomes one CUSTOM event: the fields it keeps and their names. */
function notice<N extends OwnEventName, Shape extends z.ZodRawShape>(
  name: N,
  shape: Shape,
  toValue: (message: z.output<z.ZodObject<Shape>>) => OwnEventValue<N>,
): Notice {
  const schema = z.object(shape)
  return (message) => {
    const parsed = schema.safeParse(message)
    return parsed.success ? ownEvent(name, toValue(parsed.data)) : undefined
  }
}

const hook = (state: 'started' | 'progress' | 'finished'): Notice =>
  notice(
    'hook',
    { hook_id: text, hook_name: text, hook_event: text, outcome: text, exit_code: amount, output: text },
    (m) => ({
      state,
      hookId: m.hook_id,
      name: m.hook_name,
      event: m.hook_event,
      outcome: m.outcome,
      exitCode: m.exit_code,
      output: m.output,
    }),
  )

/** The kinds that docs/events.md lists as CUSTOM, one row each. A test compares them with DECISIONS. */
export const NOTICES: Readonly<Record<string, Notice>> = {
  'system/api_retry': notice(
    'api_retry',
    {
      attempt: z.number(),
      max_retries: amount,
      retry_delay_ms: amount,
      error_status: amount.nullable().catch(null),
      error: text,
    },
    (m) => ({
      attempt: m.attempt,
      maxRetries: m.max_retries,
      delayMs: m.retry_delay_ms,
      status: m.error_status ?? undefined,
      error: m.error,
    }),
  ),
  'system/model_refusal_no_fallback': notice(
    'model_refusal',
    {
      original_model: text,
      api_refusal_category: text.nullable().catch(null),
      api_refusal_explanation: text.nullable().catch(null),
    },
    (m) => ({
      model: m.original_model,
      category: m.api_refusal_category ?? undefined,
      explanation: m.api_refusal_explanation ?? undefined,
    }),
  ),
  'system/hook_started': hook('started'),
  'system/hook_progress': hook('progress'),
  'system/hook_response': hook('finished'),
  'system/plugin_install': notice('plugin_install', { status: text, name: text, error: text }, (m) => m),
  'system/background_tasks_changed': notice(
    'background_tasks',
    {
      tasks: z.array(
        z.object({
          task_id: z.string(),
          task_type: text,
          subagent_type: text,
          description: text,
          ambient: flag,
        }),
      ),
    },
    (m) => ({
      tasks: m.tasks.map((task) => ({
        taskId: task.task_id,
        taskType: task.task_type,
        subagentType: task.subagent_type,
        description: task.description,
        ambient: task.ambient,
      })),
    }),
  ),
  'system/notification': notice('notice', { text: z.string(), priority: text, key: text }, (m) => ({
    text: m.text,
    level: m.priority,
    key: m.key,
  })),
  'system/informational': notice(
    'notice',
    { content: z.string(), level: text, tool_use_id: text, prevent_continuation: flag },
    (m) => ({
      text: m.content,
      level: m.level,
      toolCallId: m.tool_use_id,
      stopsTurn: m.prevent_continuation,
    }),
  ),
  'system/files_persisted': notice('files_persisted', { files: anything, failed: anything }, (m) => m),
  'system/memory_recall': notice(
    'memory_recall',
    { mode: text, memories: z.array(z.object({ path: z.string(), scope: text })) },
    (m) => ({ mode: m.mode, memories: m.memories }),
  ),
  'system/elicitation_complete': notice(
    'elicitation_complete',
    { mcp_server_name: text, elicitation_id: text },
    (m) => ({ server: m.mcp_server_name, elicitationId: m.elicitation_id }),
  ),
  'system/session_writes_lost': notice('session_writes_lost', { error_code: text, lost: texts }, (m) => ({
    error: m.error_code,
    lost: m.lost,
  })),
  // The SDK has given up storing a part of the transcript, from which another runner would continue.
  'system/mirror_error': notice('session_writes_lost', { error: text }, (m) => ({
    error: m.error,
    lost: ['stored transcript'],
  })),
  tool_use_summary: notice('tool_summary', { summary: z.string(), preceding_tool_use_ids: texts }, (m) => ({
    summary: m.summary,
    toolCallIds: m.preceding_tool_use_ids,
  })),
  rate_limit_event: notice(
    'rate_limit',
    {
      rate_limit_info: z.looseObject({
        status: text,
        rateLimitType: text,
        utilization: amount,
        resetsAt: amount,
      }),
    },
    ({ rate_limit_info: info }) => ({
      status: info.status,
      limit: info.rateLimitType,
      utilization: info.utilization,
      resetsAt: info.resetsAt,
    }),
  ),
  prompt_suggestion: notice('prompt_suggestion', { suggestion: z.string() }, (m) => m),
  active_goal: notice('active_goal', { value: anything }, (m) => ({ goal: m.value })),
  command_lifecycle: notice('message_state', { command_uuid: z.string(), state: z.string() }, (m) => ({
    messageId: m.command_uuid,
    state: m.state,
  })),
}

/** Returns the CUSTOM event of a message. Undefined when the kind has no row or the message does not fit it. */
export function toNotice(message: Record<string, unknown>): AguiEvent | undefined {
  return NOTICES[kindOf(message)]?.(message)
}

/** Largest unknown message that is sent, in characters of JSON. Of a larger one only the kind and size are sent. */
const UNKNOWN_CHARS_MAX = 16_384

/** Returns `CUSTOM agui-runner.unknown` for a message that this runner does not know, for clients that do. */
export function toUnknown(message: unknown, kind: string, owner: EventOwner = {}): AguiEvent {
  const json = JSON.stringify(message) ?? 'null'
  const value = json.length > UNKNOWN_CHARS_MAX ? { kind, chars: json.length } : { kind, message }
  return ownEvent('unknown', value, owner)
}
