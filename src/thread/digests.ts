import { createHash } from 'node:crypto'
import { contentToText, type Message, type UserMessage } from '@ag-ui/core'
import type { RunEnd } from '../agent/agent.ts'
import { untold } from './told-ids.ts'

/** Ids of messages with the digests of what they say. */
export type Digests = [id: string, digest: string][]

/** Stands before the digests of a message that the model refused; no digest is as short. */
export const REFUSED = 'refused'

/** What a client learns from the stream may differ from what was sent: both are the message. */
export function withShown(digests: Digests, shown: readonly Message[]): Digests {
  return digests.map(([id, digest]) => {
    const message = shown.find((candidate) => candidate.id === id)
    const also = message?.role === 'user' ? messageDigestOf(message.content) : digest
    return [id, also === digest ? digest : `${digest} ${also}`]
  })
}

/** As readers get messages that a turn takes in, which is what one of them sends back: text, without secrets. */
export function withTold(
  digests: Digests,
  told: readonly UserMessage[],
  redactText: (text: string) => string,
): Digests {
  const texts = told.map((message) => ({
    ...message,
    id: untold(message.id),
    content: contentToText(message.content),
  }))
  const shown = texts.map((message) => ({ ...message, content: redactText(message.content) }))
  return withShown(withShown(digests, texts), shown)
}

/**
 * What the thread knows of a run's messages when it has ended. A failed run's are forgotten, for a client that retries
 * sends the same ones with a new runId. Those that the model refused are no part of the conversation.
 */
export function knownAfter(end: RunEnd, digests: Digests): { kept: Digests; refused: Digests } {
  if (end.outcome !== 'error') return { kept: digests, refused: [] }
  if (end.code !== 'model_rejected_input') return { kept: [], refused: [] }
  return { kept: [], refused: digests.map(([id, digest]) => [id, `${REFUSED} ${digest}`]) }
}

/** Of what a message says. A part's id and metadata do not come back from a client before AG-UI 1.0. */
export function messageDigestOf(content: UserMessage['content']): string {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content
  const said = parts.map((part) =>
    part.type === 'text' ? { type: part.type, text: part.text } : { type: part.type, source: part.source },
  )
  // A text and a list of one text are the same.
  const [only] = said
  const same = said.length === 1 && only?.type === 'text' ? only.text : said
  return createHash('sha256').update(JSON.stringify(same, sorted)).digest('base64url').slice(0, 22)
}

/** A client may send the same members in another order. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
