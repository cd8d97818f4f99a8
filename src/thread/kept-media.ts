import type { ContentPart, Message, UserMessage } from '@ag-ui/core'
import type { Blob, Blobs } from '../storage/blob.ts'

/** Returns the address from which a client fetches a blob. */
export function blobUrl(threadId: string, blobId: string): string {
  return `/sessions/${encodeURIComponent(threadId)}/blobs/${blobId}`
}

/**
 * Reads the media that the newest messages name by the thread's own addresses: who edits or repeats a message has it as it
 * was shown. Returns the function that puts them back. An address whose blob is gone stays.
 */
export async function keptMedia(
  threadId: string,
  messages: readonly Message[],
  blobs: Blobs,
): Promise<(message: UserMessage) => UserMessage> {
  const newest = messages.slice(messages.findLastIndex(({ role }) => role === 'assistant') + 1)
  const parts = newest.flatMap((message) =>
    message.role === 'user' && typeof message.content !== 'string' ? message.content : [],
  )
  const prefix = blobUrl(threadId, '')
  const addresses = new Set(parts.map(addressIn).filter((address) => address?.startsWith(prefix)))
  const kept = new Map<string | undefined, Blob | undefined>()
  for (const address of addresses)
    kept.set(address, await blobs.get(threadId, address?.slice(prefix.length) ?? ''))
  return (message) =>
    typeof message.content === 'string'
      ? message
      : { ...message, content: message.content.map((part) => restored(part, kept)) }
}

function addressIn(part: ContentPart): string | undefined {
  return part.type !== 'text' && part.source.type === 'url' ? part.source.value : undefined
}

function restored(part: ContentPart, kept: ReadonlyMap<string | undefined, Blob | undefined>): ContentPart {
  const blob = kept.get(addressIn(part))
  if (part.type === 'text' || blob === undefined) return part
  const { contentType: mimeType, bytes } = blob
  return { ...part, source: { type: 'data', mimeType, value: bytes.toString('base64') } }
}
