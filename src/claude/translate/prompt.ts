import type { randomUUID } from 'node:crypto'
import type { UserMessage } from '@ag-ui/core'
import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import type { RunRequest } from '../../agent/agent.ts'

type Block = Exclude<SDKUserMessage['message']['content'], string>[number]
type Part = Exclude<UserMessage['content'], string>[number]

export interface Prompt {
  blocks: Block[]
  /** What the model cannot be given, in words: a part never fails a run (agui-1.0-producer.md A1.8). */
  skipped: string[]
}

/** Image types the Messages API takes. */
const IMAGE_TYPES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'] as const

/**
 * The content blocks of one user message to Claude Code.
 *
 * Claude Code reads commands (`/clear`) and file mentions (`@/etc/passwd`) out of the last text block only, so a
 * blank one stands last unless slash commands are wanted (claude-code.md 7.4).
 */
export function toPrompt(
  request: Pick<RunRequest, 'messages' | 'context' | 'state'>,
  options: { slashCommands: boolean },
): Prompt {
  const skipped: string[] = []
  const blocks: Block[] = []
  const { context, messages, state } = request
  if (context.length > 0) blocks.push(textBlock(contextText(context)))
  if (hasState(state)) blocks.push(textBlock(`<state>\n${JSON.stringify(state)}\n</state>`))
  for (const message of messages) {
    if (message.role !== 'user') continue
    const { content } = message
    if (typeof content === 'string') blocks.push(textBlock(content))
    else for (const part of content) blocks.push(...toBlocks(part, skipped))
  }
  if (!options.slashCommands) blocks.push(textBlock(' '))
  return { blocks, skipped }
}

/** An absent state and an empty one are the same (agui-1.0-producer.md A1.5). */
export function hasState(state: unknown): boolean {
  return typeof state === 'object' && state !== null && Object.keys(state).length > 0
}

function contextText(context: readonly { description: string; value: string }[]): string {
  const entries = context.map(({ description, value }) => `${description}:\n${value}`)
  return `<context>\n${entries.join('\n\n')}\n</context>`
}

function toBlocks(part: Part, skipped: string[]): Block[] {
  switch (part.type) {
    case 'text':
      return [textBlock(part.text)]
    case 'image':
      return skippable(imageBlock(part.source), 'an image', part.source, skipped)
    case 'document':
      return skippable(documentBlock(part.source), 'a document', part.source, skipped)
    case 'audio':
    case 'video':
      return skippable(
        undefined,
        `${part.type === 'audio' ? 'an audio' : 'a video'} part`,
        part.source,
        skipped,
      )
  }
}

type Source = Extract<Part, { type: 'image' }>['source']

function imageBlock(source: Source): Block | undefined {
  if (source.type === 'url') return { type: 'image', source: { type: 'url', url: source.value } }
  if (source.type !== 'data') return undefined
  const type = IMAGE_TYPES.find((known) => known === source.mimeType)
  return type && { type: 'image', source: { type: 'base64', media_type: type, data: source.value } }
}

function documentBlock(source: Source): Block | undefined {
  if (source.type === 'url') return { type: 'document', source: { type: 'url', url: source.value } }
  if (source.type !== 'data') return undefined
  if (source.mimeType === 'application/pdf') {
    return { type: 'document', source: { type: 'base64', media_type: 'application/pdf', data: source.value } }
  }
  if (!source.mimeType.startsWith('text/')) return undefined
  const data = Buffer.from(source.value, 'base64').toString('utf8')
  return { type: 'document', source: { type: 'text', media_type: 'text/plain', data } }
}

function skippable(block: Block | undefined, what: string, source: Source, skipped: string[]): Block[] {
  if (block !== undefined) return [block]
  const of = source.type === 'file' ? 'given by a file handle' : `of type ${source.mimeType ?? 'unknown'}`
  skipped.push(`${what} ${of}`)
  return []
}

/** The Messages API refuses an empty text block; a blank one means the same. */
export function textBlock(value: string): Block {
  return { type: 'text', text: value === '' ? ' ' : value }
}

/** The uuid comes back when Claude Code takes the message in. */
export function userLine(blocks: Block[], uuid: ReturnType<typeof randomUUID>): SDKUserMessage {
  return { type: 'user', uuid, message: { role: 'user', content: blocks }, parent_tool_use_id: null }
}
