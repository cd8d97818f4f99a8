import { type Json, toList, toNumber, toObject, toText } from './fields.ts'
import type { Attachment, Content, Failure, Usage } from './model.ts'

/** AG-UI's message content: a text, or parts of which some are media. */
export function readContent(content: unknown): Content {
  if (typeof content === 'string') return { text: content, attachments: [] }
  const parts = toList(content).map(toObject)
  return {
    text: parts.flatMap((part) => toText(part['text']) ?? []).join('\n'),
    attachments: parts.filter((part) => part['type'] !== 'text').map(readAttachment),
  }
}

function readAttachment(part: Json): Attachment {
  const source = toObject(part['source'])
  const mimeType = toText(source['mimeType']) ?? toText(part['type']) ?? 'unknown'
  const value = toText(source['value'])
  if (value === undefined) return { mimeType }
  return source['type'] === 'url' ? { mimeType, url: value } : { mimeType, data: value }
}

/** What RUN_FINISHED and `GET /sessions` carry, one entry a model. */
export function readUsage(usage: unknown): Usage[] {
  return toList(usage)
    .map(toObject)
    .map((entry) => ({
      model: toText(entry['model']) ?? 'unknown model',
      inputTokens: toNumber(entry['inputTokens']) ?? 0,
      outputTokens: toNumber(entry['outputTokens']) ?? 0,
      cachedInputTokens: toNumber(entry['cachedInputTokens']) ?? 0,
    }))
}

/** What RUN_ERROR and SUBAGENT_ERROR tell. */
export function readFailure(event: Json): Failure {
  return { code: toText(event['code']) ?? 'unknown', message: toText(event['message']) ?? '' }
}

/** The message of an event. */
export function idOf(event: Json): string {
  return toText(event['messageId']) ?? ''
}

export function roleOf(message: Json): string {
  return toText(message['role']) ?? 'user'
}
