import type { Message } from '@ag-ui/core'
import { isLater, type KnownMessages } from './history.ts'
import { replyOf } from './replies.ts'
import { unsteeredId } from './steered-ids.ts'

/**
 * Returns, in words, how a history differs from the thread's where it is not refused: edited replies, and messages in
 * another order. The agent has its own conversation, in which these have no effect. A reply of an unknown id is not
 * compared, and messages that are missing are no edit: a client may send only the new ones.
 *
 * @param replies The digests of the thread's replies, by message id.
 */
export function historyEdits(
  history: readonly Message[],
  { replies, messageTurn }: Pick<KnownMessages, 'messageTurn'> & { replies: ReadonlyMap<string, string> },
): string[] {
  const edits: string[] = []
  let before: { id: string; by: ReturnType<typeof messageTurn> } | undefined
  for (const message of history) {
    const { id, role } = message
    const by = role === 'user' ? (messageTurn(unsteeredId(id)) ?? messageTurn(id)) : undefined
    if (by !== undefined) {
      if (before?.by !== undefined && isLater(before.by, by))
        edits.push(`the place of message "${id}", which came before "${before.id}"`)
      before = { id, by }
    }
    const [, digest] = replyOf(message) ?? []
    const known = replies.get(id)?.split(' ')
    if (digest === undefined || known === undefined || known.includes(digest)) continue
    edits.push(`an edit of the ${role === 'tool' ? 'result' : 'answer'} "${id}", which stays as it was`)
  }
  return edits
}

/**
 * Returns, in words, the answers that stand behind the first new message and are none of this thread's: somebody else's,
 * or ones that a client has begun for the model.
 */
export function foreignAnswers(
  history: readonly Message[],
  firstNew: string | undefined,
  replies: ReadonlyMap<string, string>,
): string[] {
  const first = history.findIndex(({ id }) => id === firstNew)
  const behind = first < 0 ? [] : history.slice(first)
  return behind.flatMap((message) =>
    message.role === 'assistant' && message.content && !replies.has(message.id)
      ? [`the answer "${message.id}", which is none of this thread's`]
      : [],
  )
}
