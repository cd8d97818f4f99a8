import type { randomUUID } from 'node:crypto'
import type { Message, Tool, UserMessage } from '@ag-ui/core'
import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { RunRequest, Surroundings } from '../../agent/agent.ts'
import { skippedOf } from '../../agui/input.ts'
import { RunnerError } from '../../errors.ts'
import { mediumOf } from './medium.ts'

type Block = Exclude<SDKUserMessage['message']['content'], string>[number]
type Part = Exclude<UserMessage['content'], string>[number]

/** The turn in progress, as far as a further message depends on it. */
interface Going {
  /** Its context and state, as prompt text. */
  surroundings: string
  tools: readonly Tool[]
}

export interface Prompt {
  blocks: Block[]
  /** Descriptions of the parts that the model cannot be given: a part never fails a run (agui-1.0-producer.md A1.8). */
  skipped: string[]
  /** The application's context and state, as prompt text. */
  surroundings: string
}

/**
 * Returns the content blocks of one user message to Claude Code.
 *
 * Claude Code reads commands (`/clear`) and file mentions (`@/etc/passwd`) from the last text block only. So the last
 * block is blank unless slash commands are wanted (claude-code.md 7.4).
 *
 * @param options.isMidTurn whether a turn takes the message in: Claude Code (2.1.332) then passes on texts and pictures, and
 * drops documents.
 */
export function toPrompt(
  request: Pick<RunRequest, 'messages' | 'context' | 'state'>,
  options: { slashCommands: boolean; isMidTurn?: boolean },
): Prompt {
  const { isMidTurn = false } = options
  const skipped: string[] = []
  const blocks: Block[] = []
  const { messages } = request
  const surroundings = surroundingsOf(request)
  if (surroundings !== '') blocks.push(textBlock(surroundings))
  for (const message of messages) {
    if (message.role === 'system' || message.role === 'developer') {
      blocks.push(textBlock(`<${message.role}>\n${message.content}\n</${message.role}>`))
    }
    if (message.role === 'assistant') {
      blocks.push(...spoken(message.content))
      for (const { function: called } of message.toolCalls ?? [])
        skipped.push(`a call of ${called.name} from before this conversation, and its result`)
    }
    if (message.role === 'reasoning') skipped.push('reasoning from before this conversation')
    if (message.role !== 'user') continue
    const { content, name } = message
    skipped.push(...skippedOf(message))
    // Several people may write in one thread.
    if (name !== undefined && name !== '') blocks.push(textBlock(`<name>\n${name}\n</name>`))
    if (typeof content === 'string') blocks.push(textBlock(content))
    else for (const part of content) blocks.push(...toBlocks(part, { skipped, isMidTurn }))
  }
  if (!options.slashCommands) blocks.push(textBlock(' '))
  return { blocks, skipped, surroundings }
}

function surroundingsOf({ context, state }: Pick<RunRequest, 'context' | 'state'>): string {
  const words = context.length > 0 ? [contextText(context)] : []
  if (hasState(state)) words.push(`<state>\n${JSON.stringify(state)}\n</state>`)
  return words.join('\n')
}

/**
 * Returns the prompt of a run that continues a turn, without its answers and results but with the words that came with an
 * approval. Undefined when it says nothing that is new to the turn.
 */
export function furtherPrompt(
  request: Pick<RunRequest, 'messages' | 'context' | 'state'>,
  options: { slashCommands: boolean; turn: Pick<Going, 'surroundings'>; words: readonly string[] },
): Prompt | undefined {
  const messages = request.messages.filter(({ role }) => role !== 'tool')
  const around = surroundingsOf(request)
  const isNew = messages.length > 0 || (around !== '' && around !== options.turn.surroundings)
  if (!isNew && options.words.length === 0) return undefined
  const prompt = toPrompt({ ...request, messages }, { ...options, isMidTurn: true })
  return { ...prompt, blocks: [...options.words.map(textBlock), ...prompt.blocks] }
}

/** Whether the message has a part that Claude Code would drop from a turn under way. */
export function needsOwnTurn({ content }: UserMessage): boolean {
  return (
    typeof content !== 'string' &&
    content.some((part) => part.type !== 'text' && mediumOf(part).type === 'pdf')
  )
}

/** Returns the prompt of a message for the turn in progress. Context and state that the turn has are not repeated. */
export function steerPrompt(
  message: UserMessage,
  { tools, context, state }: Surroundings,
  { turn, slashCommands }: { turn: Going; slashCommands: boolean },
): Prompt {
  const around = surroundingsOf({ context, state })
  const isNew = around !== '' && around !== turn.surroundings
  const said = isNew ? { context, state } : { context: [] }
  const { blocks, skipped } = toPrompt({ messages: [message], ...said }, { slashCommands, isMidTurn: true })
  return {
    blocks,
    skipped: [...skipped, ...skippedTools(tools, turn)],
    surroundings: isNew ? around : turn.surroundings,
  }
}

/** Describes the tools of a run that steers or continues a turn which the turn does not have. */
export function skippedTools(sent: readonly Tool[], { tools }: Pick<Going, 'tools'>): string[] {
  const had = new Set(tools.map((tool) => JSON.stringify(tool)))
  return sent
    .filter((tool) => !had.has(JSON.stringify(tool)))
    .map(({ name }) => `the tool ${name} as it is now: a turn keeps the tools it began with`)
}

/** Returns the words of an assistant from before the conversation began. */
function spoken(content: string | undefined): Block[] {
  return content ? [textBlock(`<assistant>\n${content}\n</assistant>`)] : []
}

/** Whether there is a state, which may be any JSON value. An empty one counts as absent (agui-1.0-producer.md A1.5). */
export function hasState(state: unknown): boolean {
  if (state === undefined || state === null || state === '') return false
  return typeof state !== 'object' || Object.keys(state).length > 0
}

function contextText(context: readonly { description: string; value: string }[]): string {
  const entries = context.map(({ description, value }) => `${description}:\n${value}`)
  return `<context>\n${entries.join('\n\n')}\n</context>`
}

function toBlocks(part: Part, { skipped, isMidTurn }: { skipped: string[]; isMidTurn: boolean }): Block[] {
  if (part.type === 'text') return [textBlock(part.text)]
  const medium = mediumOf(part)
  switch (medium.type) {
    case 'image':
      return [{ type: 'image', source: medium.source }]
    case 'pdf':
      if (isMidTurn) skipped.push('a PDF beside the words of a message to a turn under way')
      return isMidTurn ? [] : [{ type: 'document', source: medium.source }]
    case 'text':
      return isMidTurn
        ? [textBlock(`<document>\n${medium.text}\n</document>`)]
        : [{ type: 'document', source: { type: 'text', media_type: 'text/plain', data: medium.text } }]
    case 'none':
      skipped.push(medium.what)
      return []
  }
}

/** Whether a message contains anything that the model can be given. */
function saysSomething({ content }: UserMessage): boolean {
  if (typeof content === 'string') return content.trim() !== ''
  return content.some((part) =>
    part.type === 'text' ? part.text.trim() !== '' : mediumOf(part).type !== 'none',
  )
}

/** Makes a text block. The Messages API refuses an empty one, so it becomes a blank. */
function textBlock(value: string): Block {
  return { type: 'text', text: value === '' ? ' ' : value }
}

/** Makes the user message for Claude Code, which reports the uuid when it takes the message in. */
export function userLine(blocks: Block[], uuid: ReturnType<typeof randomUUID>): SDKUserMessage {
  return { type: 'user', uuid, message: { role: 'user', content: blocks }, parent_tool_use_id: null }
}

/** @throws {RunnerError} `invalid_input` when the user's messages contain nothing that the model can be given. */
export function checkWords(messages: readonly Message[]): void {
  const said = messages.filter((message) => message.role === 'user')
  const isResult = messages.some(({ role }) => role === 'tool')
  if (said.length === 0 || isResult || said.some(saysSomething)) return
  const { skipped } = toPrompt({ messages: said, context: [] }, { slashCommands: false })
  const what = skipped.length === 0 ? '' : ` It cannot be given ${skipped.join(', ')}.`
  throw new RunnerError('invalid_input', `The new messages say nothing to the model.${what} Add a text.`)
}
