import type { IncomingHttpHeaders } from 'node:http'
import { z } from 'zod'

/** One tool result of the latest tool round. */
export interface RequestToolResult {
  readonly id: string
  /** Name of the tool that was called; empty when the call is not in the request. */
  readonly tool: string
  /** All text of the result, blocks joined by a line break. */
  readonly text: string
  readonly isError: boolean
}

/** Facts that a script can match in a `POST /v1/messages` (shapes measured with Claude Code 2.1.329 and 2.1.332). */
export interface RequestFacts {
  /** The model the client asked for, before the gateway overwrites it. */
  readonly model: string
  readonly stream: boolean
  /** The last text that a person wrote, without `<system-reminder>` blocks, system notes and Claude Code's nudges. */
  readonly prompt: string
  /** System-role notes, and messages steered into the turn, since that prompt; joined by line breaks. */
  readonly note: string
  /** Results of the latest tool round; empty right after a prompt. */
  readonly results: readonly RequestToolResult[]
  /** Number of assistant messages with tool calls since the prompt. */
  readonly round: number
  /** Claude Code's nudges since the prompt ("Output token limit hit…", "…cut off mid-stream…"). */
  readonly nudges: number
  readonly subagent: boolean
  /** Names of the tools the request offers. */
  readonly tools: readonly string[]
  /** All messages of the request, as JSON. */
  readonly messages: string
  /** Claude Code's working directory; empty when the request does not name it. */
  readonly cwd: string
}

const blockSchema = z.looseObject({
  type: z.string(),
  text: z.string().optional(),
  id: z.string().optional(),
  name: z.string().optional(),
  tool_use_id: z.string().optional(),
  is_error: z.boolean().optional(),
  content: z.unknown().optional(),
})
const contentSchema = z.union([
  z.string().transform((text) => [{ type: 'text', text }]),
  z.array(blockSchema),
])
const messageSchema = z.looseObject({ role: z.string(), content: contentSchema })

/** Schema of a Messages API request body, as far as the mock reads it; everything else passes. */
export const messagesBodySchema = z.looseObject({
  model: z.string(),
  stream: z.boolean().optional(),
  system: contentSchema.optional(),
  tools: z.array(z.looseObject({ name: z.string().optional() })).optional(),
  messages: z.array(messageSchema),
})

type MessagesBody = z.infer<typeof messagesBodySchema>
type Message = z.infer<typeof messageSchema>
type Block = z.infer<typeof blockSchema>

const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>/g
/** User-role lines that Claude Code writes itself (claude-code.md section 4, "Errors and endings"). */
const NUDGE = /^(?:\[Request interrupted by user|Your response above was cut off|Output token limit hit\.)/
/** Start of a message steered into a turn: a system-role note in 2.1.329, a user text block in 2.1.332. */
const STEERED = /^The user sent a new message while you were working:/
const WORKING_DIRECTORY = /\bworking directory:\s*(\S.*)$/im
const SUBAGENT_MARK = /cc_is_subagent=true|^You are an agent for Claude Code\b/m

export function readRequestFacts(body: MessagesBody, headers: IncomingHttpHeaders): RequestFacts {
  const { messages } = body
  const system = textOf(body.system ?? [])
  const promptAt = messages.findLastIndex((message) => promptOf(message) !== '')
  const prompted = messages[promptAt]
  const after = messages.slice(promptAt + 1)
  const calls = toolNames(messages)
  const replied = after.findLastIndex((message) => message.role === 'assistant')
  const latest = after.slice(replied + 1).filter((message) => message.role === 'user')
  return {
    model: body.model,
    stream: body.stream === true,
    prompt: prompted === undefined ? '' : promptOf(prompted),
    note: after.flatMap(notesOf).join('\n'),
    results: latest.flatMap((message) => message.content).flatMap((block) => toResult(block, calls)),
    round: after.filter((message) => message.content.some((block) => block.type === 'tool_use')).length,
    nudges: after.filter((message) => message.role === 'user' && isNudge(message)).length,
    subagent: headers['x-claude-code-agent-id'] !== undefined || SUBAGENT_MARK.test(system),
    tools: (body.tools ?? []).flatMap((tool) => tool.name ?? []),
    messages: JSON.stringify(messages),
    cwd: workingDirectory(messages, system),
  }
}

function promptOf(message: Message): string {
  if (message.role !== 'user') return ''
  const texts = message.content
    .map(toPersonText)
    .filter((text) => text !== '' && !NUDGE.test(text) && !STEERED.test(text))
  return texts.at(-1) ?? ''
}

function notesOf({ role, content }: Message): string[] {
  if (role === 'system') return [textOf(content)]
  return role === 'user' ? content.map(toPersonText).filter((text) => STEERED.test(text)) : []
}

function isNudge(message: Message): boolean {
  return message.content.some((block) => NUDGE.test(toPersonText(block)))
}

function toPersonText(block: Block): string {
  return block.type === 'text' ? (block.text ?? '').replace(REMINDER, '').trim() : ''
}

function toResult(block: Block, calls: ReadonlyMap<string, string>): RequestToolResult[] {
  if (block.type !== 'tool_result') return []
  const id = block.tool_use_id ?? ''
  const content = contentSchema.safeParse(block.content ?? '')
  const text = content.success ? textOf(content.data) : ''
  return [{ id, tool: calls.get(id) ?? '', text, isError: block.is_error === true }]
}

function toolNames(messages: readonly Message[]): Map<string, string> {
  const names = new Map<string, string>()
  for (const block of messages.flatMap((message) => message.content)) {
    if (block.type === 'tool_use') names.set(block.id ?? '', block.name ?? '')
  }
  return names
}

function textOf(blocks: readonly Block[]): string {
  return blocks.flatMap((block) => block.text ?? []).join('\n')
}

/** Finds the working directory: 2.1.329 names it in a system-role message, older versions in the system prompt. */
function workingDirectory(messages: readonly Message[], system: string): string {
  const notes = messages
    .filter((message) => message.role === 'system')
    .map((message) => textOf(message.content))
  for (const text of [system, ...notes]) {
    const found = WORKING_DIRECTORY.exec(text)?.[1]
    if (found !== undefined) return found.trim()
  }
  return ''
}
