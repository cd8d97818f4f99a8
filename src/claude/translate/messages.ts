// Schemas for the messages of Claude Code. They are tolerant, because the vendor adds fields and kinds with every
// release: a field of an unexpected type reads as absent, and an invalid message reads as `undefined`.

import { z } from 'zod'
import { amount, flag, text, texts } from './tolerant-fields.ts'

const toolUseId = z
  .string()
  .nullish()
  .catch(undefined)
  .transform((id) => id ?? undefined)

const BlockSchema = z.looseObject({
  type: z.string(),
  id: text,
  name: text,
  text,
  thinking: text,
  signature: text,
  data: text,
  tool_use_id: text,
  is_error: flag,
})

const ContentSchema = z.union([z.string(), z.array(BlockSchema)])

/** Tokens of one request, as Anthropic counts them: cached tokens are not included in the input. */
const RequestUsage = z
  .object({
    input_tokens: amount,
    cache_creation_input_tokens: amount,
    cache_read_input_tokens: amount,
    output_tokens: amount,
  })
  .optional()
  .catch(undefined)

const AssistantSchema = z.object({
  uuid: text,
  parent_tool_use_id: toolUseId,
  agent_id: text,
  error: text,
  api_error_status: amount.nullable().catch(null),
  /** Claude Code's own kind of the failure. Only some failures have one. */
  api_error: text,
  aborted: flag,
  supersedes: texts,
  subagent_type: text,
  task_description: text,
  message: z.object({ id: z.string(), model: text, content: ContentSchema, usage: RequestUsage }),
})

const UserSchema = z.object({
  uuid: text,
  parent_tool_use_id: toolUseId,
  agent_id: text,
  isSynthetic: flag,
  isReplay: flag,
  subagent_type: text,
  task_description: text,
  origin: z.object({ kind: z.string() }).optional().catch(undefined),
  tool_use_result: z.unknown().optional(),
  message: z.object({ content: ContentSchema }),
})

const ModelUsageSchema = z.object({
  inputTokens: amount,
  outputTokens: amount,
  thinkingTokens: amount,
  cacheReadInputTokens: amount,
  cacheCreationInputTokens: amount,
  contextWindow: amount,
  provider: text,
})

const modelUsage = z.record(z.string(), ModelUsageSchema).optional().catch(undefined)

const ResultSchema = z.object({
  subtype: z.string(),
  is_error: flag,
  result: text,
  errors: texts,
  api_error_status: amount.nullable().catch(null),
  terminal_reason: text,
  stop_reason: text.nullable().catch(null),
  startup_failure_reason: text,
  num_turns: amount,
  duration_ms: amount,
  duration_api_ms: amount,
  total_cost_usd: amount,
  structured_output: z.unknown().optional(),
  origin: z.object({ kind: z.string() }).optional().catch(undefined),
  user_message_uuids: texts,
  modelUsage,
  model_usage_since_last_result: modelUsage,
})

const InitSchema = z.object({
  session_id: text,
  model: text,
  cwd: text,
  permissionMode: text,
  claude_code_version: text,
  tools: texts,
  mcp_servers: z
    .array(z.object({ name: z.string(), status: z.string() }))
    .optional()
    .catch(undefined),
})

const TaskSchema = z.object({
  task_id: z.string(),
  tool_use_id: text,
  parent_task_id: text,
  task_type: text,
  subagent_type: text,
  description: text,
  prompt: text,
  is_backgrounded: flag,
  skip_transcript: flag,
  status: text,
  summary: text,
  last_tool_name: text,
  usage: z
    .object({ total_tokens: amount, tool_uses: amount, duration_ms: amount })
    .optional()
    .catch(undefined),
  patch: z
    .object({ status: text, description: text, error: text, is_backgrounded: flag })
    .optional()
    .catch(undefined),
})

export type ContentBlock = z.output<typeof BlockSchema>
export type AssistantMessage = z.output<typeof AssistantSchema>
export type UserMessage = z.output<typeof UserSchema>
export type ResultMessage = z.output<typeof ResultSchema>
export type InitMessage = z.output<typeof InitSchema>
export type TaskMessage = z.output<typeof TaskSchema>
export type ModelUsage = z.output<typeof ModelUsageSchema>

export const readAssistant = (raw: unknown): AssistantMessage | undefined =>
  AssistantSchema.safeParse(raw).data
export const readUser = (raw: unknown): UserMessage | undefined => UserSchema.safeParse(raw).data
export const readResult = (raw: unknown): ResultMessage | undefined => ResultSchema.safeParse(raw).data
export const readInit = (raw: unknown): InitMessage | undefined => InitSchema.safeParse(raw).data
export const readTask = (raw: unknown): TaskMessage | undefined => TaskSchema.safeParse(raw).data
export const readBlock = (raw: unknown): ContentBlock | undefined => BlockSchema.safeParse(raw).data

/** Returns the blocks of a message's content. A plain string is one text block. */
export function blocksOf(content: string | ContentBlock[]): ContentBlock[] {
  return typeof content === 'string' ? [{ type: 'text', text: content }] : content
}

/** Returns the kind of a message: its `type`, followed by a slash and its `subtype` if it has one. */
export function kindOf(message: Record<string, unknown>): string {
  const type = typeof message['type'] === 'string' ? message['type'] : 'untyped'
  return typeof message['subtype'] === 'string' ? `${type}/${message['subtype']}` : type
}
