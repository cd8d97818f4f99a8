import type { ContentPart, ToolCallResultEvent } from '@ag-ui/core'
import { isObject } from '../../json.ts'
import { type ContentBlock, readBlock } from './messages.ts'

export interface ToolResult {
  content: ToolCallResultEvent['content']
  isError: boolean
  /** Whether the content is an MCP tool's `structuredContent`. The model never reads the text beside that. */
  isStructured?: boolean
}

/**
 * Converts a `tool_result` block of a user message, or a `*_tool_result` block of the provider's own tool.
 *
 * @param whole Claude Code's facts about the result beside its content (`tool_use_result`).
 */
export function toToolResult(block: ContentBlock, whole?: unknown): ToolResult {
  const content = block['content']
  const isError = block.is_error === true || hasErrorCode(content)
  if (isObject(whole) && isObject(whole['structuredContent'])) {
    return { ...toToolResult(block), isStructured: true }
  }
  if (typeof content === 'string') return { content, isError }
  if (content === undefined || content === null) return { content: '', isError }
  if (!Array.isArray(content)) return { content: JSON.stringify(content), isError }
  const parts = content.map(toPart)
  const texts = parts.flatMap((part) => (part.type === 'text' ? [part.text] : []))
  return { content: texts.length === parts.length ? texts.join('\n') : parts, isError }
}

/** Returns the text of a result, for fields that take no parts. */
export function textOf(result: ToolResult): string {
  if (typeof result.content === 'string') return result.content
  return result.content.flatMap((part) => (part.type === 'text' ? [part.text] : [])).join('\n')
}

function toPart(raw: unknown): ContentPart {
  const block = readBlock(raw)
  if (block === undefined) return { type: 'text', text: JSON.stringify(raw) }
  if (block.type === 'text') return { type: 'text', text: block.text ?? '' }
  if (block.type === 'image' || block.type === 'document') {
    const part = toMedia(block.type, block['source'])
    if (part !== undefined) return part
  }
  return { type: 'text', text: JSON.stringify(withoutCipher(raw)) }
}

function toMedia(type: 'image' | 'document', source: unknown): ContentPart | undefined {
  if (!isObject(source)) return undefined
  const { type: kind, data, media_type: mimeType, url } = source
  if (kind === 'base64' && typeof data === 'string' && typeof mimeType === 'string') {
    return { type, source: { type: 'data', value: data, mimeType } }
  }
  if (kind === 'url' && typeof url === 'string') return { type, source: { type: 'url', value: url } }
  if (kind === 'text' && typeof data === 'string') return { type: 'text', text: data }
  return undefined
}

/** Removes page contents from search results: only the provider can read them. */
function withoutCipher(raw: unknown): unknown {
  if (!isObject(raw)) return raw
  return Object.fromEntries(Object.entries(raw).filter(([key]) => key !== 'encrypted_content'))
}

function hasErrorCode(content: unknown): boolean {
  return isObject(content) && typeof content['error_code'] === 'string'
}
