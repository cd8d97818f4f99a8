import { EventType, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import { type Digests, messageDigestOf } from './digests.ts'

/**
 * Collects the digests of what a run adds to the conversation beside the user's messages: the texts of assistants and
 * the results of tools, as readers get them. By these the thread finds out that a client has edited one.
 */
export class Replies {
  readonly #sent: ReadonlyMap<string, string>
  readonly #open = new Map<string, string>()

  /** @param sent The run's new messages, as the client has them: redaction may show them in another form. */
  constructor(sent: readonly Message[]) {
    this.#sent = new Map(sent.map(replyOf).filter((entry) => entry !== undefined))
  }

  /** Returns the digests of the replies that these events complete. Events come in the order of the log. */
  completedBy(events: readonly AguiEvent[]): Digests {
    const completed: Digests[number][] = []
    for (const event of events) {
      switch (event.type) {
        case EventType.TEXT_MESSAGE_CONTENT: {
          const text = this.#open.get(event.messageId)
          if (text !== undefined) this.#open.set(event.messageId, text + event.delta)
          break
        }
        case EventType.TEXT_MESSAGE_START:
          if (event.role !== 'user') this.#open.set(event.messageId, '')
          break
        case EventType.TEXT_MESSAGE_END: {
          const text = this.#open.get(event.messageId)
          this.#open.delete(event.messageId)
          if (text !== undefined) completed.push([event.messageId, digestOf(text)])
          break
        }
        case EventType.TOOL_CALL_RESULT:
          if (typeof event.content === 'string') completed.push([event.messageId, digestOf(event.content)])
          break
        case EventType.RUN_STARTED:
          for (const message of event.input?.messages ?? []) completed.push(...this.#both(replyOf(message)))
          break
      }
    }
    return completed
  }

  #both(shown: Digests[number] | undefined): Digests {
    if (shown === undefined) return []
    const [id, digest] = shown
    const sent = this.#sent.get(id) ?? digest
    return [[id, sent === digest ? digest : `${sent} ${digest}`]]
  }
}

export function isReply(message: Message): message is Extract<Message, { role: 'assistant' | 'tool' }> {
  return message.role === 'assistant' || message.role === 'tool'
}

/**
 * Returns the id and digest of a reply. Returns undefined for one without a text: clients of other versions hold parts in
 * other forms.
 */
export function replyOf(message: Message): Digests[number] | undefined {
  if (!isReply(message) || typeof message.content !== 'string') return undefined
  return [message.id, digestOf(message.content)]
}

/** Blank ends do not count, because some clients trim. */
function digestOf(text: string): string {
  return messageDigestOf(text.trim())
}
