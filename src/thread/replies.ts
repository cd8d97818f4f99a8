import { createHash } from 'node:crypto'
import { EventType, type Message } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import type { Digests } from './digests.ts'

/**
 * Collects the digests of what a run adds to the conversation beside the user's messages: the texts of assistants and
 * the results of tools, as readers get them. By these the thread finds out that a client has edited one.
 */
export class Replies {
  readonly #sent: ReadonlyMap<string, string>
  readonly #open = new Map<string, TextDigest>()

  /** @param sent The run's new messages, as the client has them: redaction may show them in another form. */
  constructor(sent: readonly Message[]) {
    this.#sent = new Map(sent.map(replyOf).filter((entry) => entry !== undefined))
  }

  /** Returns the digests of the replies that these events complete. Events come in the order of the log. */
  completedBy(events: readonly AguiEvent[]): Digests {
    const completed: Digests = []
    for (const event of events) {
      switch (event.type) {
        case EventType.TEXT_MESSAGE_CONTENT:
          this.#open.get(event.messageId)?.add(event.delta)
          break
        case EventType.TEXT_MESSAGE_START:
          if (event.role !== 'user') this.#open.set(event.messageId, new TextDigest())
          break
        case EventType.TEXT_MESSAGE_END: {
          const text = this.#open.get(event.messageId)
          this.#open.delete(event.messageId)
          if (text !== undefined) completed.push([event.messageId, text.end()])
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

function digestOf(text: string): string {
  const digest = new TextDigest()
  digest.add(text)
  return digest.end()
}

/** Characters that are kept until they are digested together: one by one they would cost more than all else of a delta. */
const GATHERED_CHARS = 4096

/** Digests a text while it comes, since a long answer is not to be held. Blank ends do not count, because some clients trim. */
class TextDigest {
  readonly #hash = createHash('sha256')
  #isBegun = false
  /** What is not digested yet. */
  #text = ''
  #charsMax = GATHERED_CHARS

  add(text: string): void {
    this.#text += text
    if (this.#text.length < this.#charsMax) return
    this.#digest()
    // Many blanks are not looked through again for each that follows.
    this.#charsMax = 2 * this.#text.length + GATHERED_CHARS
  }

  end(): string {
    this.#digest()
    return this.#hash.digest('base64url').slice(0, 22)
  }

  /** Digests all but the blanks at the end, which count when more follows. */
  #digest(): void {
    const text = this.#isBegun ? this.#text : this.#text.trimStart()
    const said = text.trimEnd()
    this.#text = text.slice(said.length)
    if (said === '') return
    this.#isBegun = true
    // By code units: half of a pair may stand at either end.
    this.#hash.update(said, 'utf16le')
  }
}
