import { createHash } from 'node:crypto'
import { contentToText, type Message, type UserMessage } from '@ag-ui/core'
import type { RunEnd } from '../agent/agent.ts'
import type { ErrorCode } from '../errors.ts'
import { unsteeredId } from './steered-ids.ts'

/** Message ids with the digests of their content. */
export type Digests = [id: string, digest: string][]

/** Prefix of the digests of a message that the model refused. It is shorter than any digest. */
export const REFUSED = 'refused'

/** Adds the digests of the shown messages: a client may send back what it got from the stream or what it sent. */
export function withShown(digests: Digests, shown: readonly Message[]): Digests {
  // A client may send a hundred thousand messages at once.
  const byId = new Map(shown.map((message) => [message.id, message]))
  return digests.map(([id, digest]) => {
    const message = byId.get(id)
    const also = message?.role === 'user' ? messageDigestOf(message.content) : digest
    return [id, also === digest ? digest : `${digest} ${also}`]
  })
}

/** Adds the digests of messages as a turn shows them to readers, who may send that form back: text, without secrets. */
export function withSteered(
  digests: Digests,
  steered: readonly UserMessage[],
  redactText: (text: string) => string,
): Digests {
  const texts = steered.map((message) => ({
    ...message,
    id: unsteeredId(message.id),
    content: contentToText(message.content),
  }))
  const shown = texts.map((message) => ({ ...message, content: redactText(message.content) }))
  return withShown(withShown(digests, texts), shown)
}

/** Error codes after which the agent's conversation holds none of the run's messages. */
const REFUSALS: readonly ErrorCode[] = ['model_rejected_input', 'prompt_refused']

/**
 * Decides which messages the thread knows after a run. Those of a failed run are forgotten, because a client that retries
 * sends them again with a new runId. Messages that the model or a hook refused are no part of the conversation.
 */
export function knownAfter(end: RunEnd, digests: Digests): { kept: Digests; refused: Digests } {
  if (end.outcome !== 'error') return { kept: digests, refused: [] }
  if (!REFUSALS.includes(end.code)) return { kept: [], refused: [] }
  return { kept: [], refused: digests.map(([id, digest]) => [id, `${REFUSED} ${digest}`]) }
}

/** Returns a digest of the content. It ignores a part's id and metadata, which older clients do not send back. */
export function messageDigestOf(content: UserMessage['content']): string {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content
  const said = parts.map((part) =>
    part.type === 'text' ? { type: part.type, text: part.text } : { type: part.type, source: part.source },
  )
  // A text and a list with one text part are equal.
  const [only] = said
  const same = said.length === 1 && only?.type === 'text' ? only.text : said
  return createHash('sha256').update(JSON.stringify(same, sorted)).digest('base64url').slice(0, 22)
}

/** Sorts the members of an object, because a client may send them in another order. */
function sorted(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)))
}
