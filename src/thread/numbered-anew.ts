import type { Message } from '@ag-ui/core'
import { messageDigestOf } from './digests.ts'

interface Seen {
  /** The digests of a message's content, separated by blanks. */
  said: string
}

/**
 * Finds the messages of a history that a thread has taken in under other ids. Some clients give their messages new ids with
 * every run (agent-framework-ag-ui 1.7.0 in Python), so a history without any known id may still be this thread's: its user
 * messages say the same in the same order, as far as they go. What follows the first other one is new, and so is the
 * message that the history ends with.
 *
 * @param seen The messages that the thread has taken in, oldest first.
 * @returns the seen messages, by the ids that the history has for them.
 */
export function seenUnderOtherIds<S extends Seen>(
  history: readonly Message[],
  seen: readonly S[],
): Map<string, S> {
  const found = new Map<string, S>()
  let rest = [...seen]
  for (const message of history.slice(0, -1)) {
    const { role } = message
    if (role !== 'user' && role !== 'system' && role !== 'developer') continue
    const digest = messageDigestOf(message.content)
    const index = rest.findIndex(({ said }) => said.split(' ').includes(digest))
    const same = rest[index]
    if (same !== undefined) {
      found.set(message.id, same)
      rest = rest.slice(index + 1)
    } else if (role === 'user') break
  }
  return found
}
