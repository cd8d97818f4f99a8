import { type Json, ownMetadata, toList, toNumber, toObject, toText } from './fields.ts'
import type { Attachment, Content, Failure, ShownContext, ShownRun, Usage } from './model.ts'

/** Reads the content of an AG-UI message, which is a text or a list of parts. */
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

/** Reads the usage of RUN_FINISHED and of `GET /sessions`, one entry per model. */
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

/** Reads what a run has used from its terminal event. */
export function readUse(event: Json): Pick<ShownRun, 'usage' | 'costUsd' | 'context'> {
  const own = ownMetadata(event)
  const costUsd = toNumber(own['costUsd'])
  const context = readContext(own['context'])
  return {
    usage: readUsage(event['usage']),
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(context === undefined ? {} : { context }),
  }
}

export function readContext(context: unknown): ShownContext | undefined {
  const { tokens, window } = toObject(context)
  const count = toNumber(tokens)
  return count === undefined ? undefined : { tokens: count, window: toNumber(window) }
}

/** Reads RUN_ERROR and SUBAGENT_ERROR. */
export function readFailure(event: Json): Failure {
  return { code: toText(event['code']) ?? 'unknown', message: toText(event['message']) ?? '' }
}

/** The id of the message that an event belongs to. */
export function idOfShown(event: Json): string {
  return toText(event['messageId']) ?? ''
}

export function roleOf(message: Json): string {
  return toText(message['role']) ?? 'user'
}
