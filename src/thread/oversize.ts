import { type ContentPart, EventType, type Interrupt, type Message } from '@ag-ui/core'
import { ContentPartSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import type { AguiEvent } from '../agui/event.ts'
import { isDelta } from '../agui/items.ts'
import { toLine } from '../agui/json-line.ts'
import { type OwnEventValue, readOwn } from '../agui/own-events.ts'
import type { Blob } from '../storage/blob.ts'

export interface OversizeOptions {
  /** Upper bound of one event's JSON as it is sent, in bytes. */
  eventBytesMax: number
  /** Stores content that does not fit. Returns its id. */
  keep(blob: Blob): string
  /** Returns the URL from which a client fetches it. */
  urlOf(blobId: string): string
}

/** Most bytes that one character takes in JSON text (`\u0000`). */
const CHAR_BYTES_MAX = 6
/** Bytes that are reserved for all members of an event but its one long text. */
const ENVELOPE_BYTES = 1024

/**
 * Makes events fit into `eventBytesMax`. Streamed text is split into several deltas. A result that is too large is cut
 * with a marker and stored whole elsewhere. Nothing is lost, and no client gets a frame that breaks it
 * (agui-1.0-producer.md A14.87).
 */
export class Oversize {
  readonly #options: OversizeOptions
  readonly #charsMax: number

  constructor(options: OversizeOptions) {
    this.#options = options
    this.#charsMax = Math.floor((options.eventBytesMax - ENVELOPE_BYTES) / CHAR_BYTES_MAX)
  }

  fit(event: AguiEvent): AguiEvent[] {
    if (isDelta(event)) {
      return event.delta.length <= this.#charsMax
        ? [event]
        : pieces(event.delta, this.#charsMax).map((delta) => ({ ...event, delta }))
    }
    switch (event.type) {
      case EventType.TEXT_MESSAGE_START:
      case EventType.TOOL_CALL_RESULT:
      case EventType.RUN_STARTED:
      case EventType.RUN_FINISHED:
      case EventType.CUSTOM:
        return this.#isTooLarge(event) ? [this.#cut(event)] : [event]
      default:
        return [event]
    }
  }

  #isTooLarge(value: unknown): boolean {
    return Buffer.byteLength(toLine(JSON.stringify(value))) > this.#options.eventBytesMax
  }

  #cut(event: AguiEvent): AguiEvent {
    switch (event.type) {
      case EventType.TEXT_MESSAGE_START: {
        const own = OwnParts.safeParse(ownMetadata(event.metadata)).data
        if (own === undefined) return event
        const parts = this.#fitParts(own.parts, undefined)
        return { ...event, metadata: { ...event.metadata, 'agui-runner': { ...own, parts } } }
      }
      case EventType.TOOL_CALL_RESULT: {
        const blob = this.#keepJson(event.content)
        const metadata = { ...event.metadata, 'agui-runner': { ...ownMetadata(event.metadata), blob } }
        return { ...event, content: this.#fitContent(event.content, blob.url), metadata }
      }
      case EventType.RUN_STARTED:
        return event.input === undefined
          ? event
          : {
              ...event,
              input: {
                ...event.input,
                messages: event.input.messages.map((message) => this.#fitMessage(message)),
              },
            }
      case EventType.RUN_FINISHED:
        return {
          ...event,
          ...(event.result === undefined ? {} : { result: this.#outOfLine(event.result) }),
          ...(event.outcome?.type === 'interrupt'
            ? { outcome: { ...event.outcome, interrupts: event.outcome.interrupts.map(this.#fitInterrupt) } }
            : {}),
        }
      case EventType.CUSTOM: {
        const pending = readOwn('message_pending', event)
        return {
          ...event,
          value: pending === undefined ? this.#outOfLine(event.value) : this.#fitPending(pending),
        }
      }
      default:
        return event
    }
  }

  /** Keeps the message readable, as a message of RUN_STARTED and one that a turn has taken in. */
  #fitPending(pending: OwnEventValue<'message_pending'>): object {
    const { content, ...rest } = pending
    const { parts = [] } = OwnParts.safeParse(pending).data ?? {}
    const text = this.#cutText(content, undefined, Math.floor(this.#charsMax / 2))
    return { ...rest, content: text, ...(parts.length > 0 && { parts: this.#fitParts(parts, undefined) }) }
  }

  /** Keeps the question readable. The call's input, which may be a whole file, is stored elsewhere. */
  readonly #fitInterrupt = (interrupt: Interrupt, _index: number, all: readonly Interrupt[]): Interrupt => {
    const { message, metadata } = interrupt
    const own = ownMetadata(metadata)
    const share = Math.floor(this.#charsMax / all.length / 2)
    return {
      ...interrupt,
      ...(message === undefined ? {} : { message: this.#cutText(message, undefined, share) }),
      ...('input' in own
        ? { metadata: { ...metadata, 'agui-runner': { ...own, input: this.#outOfLine(own.input) } } }
        : {}),
    }
  }

  #fitMessage(message: Message): Message {
    if (message.role !== 'user') return message
    return { ...message, content: this.#fitContent(message.content, undefined) }
  }

  /** Cuts text at the limit and stores media elsewhere, one by one. */
  #fitContent(content: string | ContentPart[], url: string | undefined): string | ContentPart[] {
    return typeof content === 'string' ? this.#cutText(content, url) : this.#fitParts(content, url)
  }

  #fitParts(content: ContentPart[], url: string | undefined): ContentPart[] {
    const share = Math.max(Math.floor(this.#charsMax / content.length), 1)
    return content.map((part) => {
      if (part.type === 'text') {
        return part.text.length <= share ? part : { ...part, text: this.#cutText(part.text, url, share) }
      }
      if (part.source.type !== 'data' || part.source.value.length <= share) return part
      const { mimeType, value } = part.source
      const bytes = Buffer.from(value, 'base64')
      const id = this.#options.keep({ contentType: mimeType, bytes })
      return { ...part, source: { type: 'url', value: this.#options.urlOf(id), mimeType } }
    })
  }

  #cutText(text: string, url: string | undefined, charsMax = this.#charsMax): string {
    if (text.length <= charsMax) return text
    const where = url ?? this.#keepJson(text).url
    const [head] = pieces(text, charsMax)
    return `${head}\n[cut by agui-runner: ${head?.length} of ${text.length} characters; the whole is at ${where}]`
  }

  #outOfLine(value: unknown): { truncated: true; blob: object } {
    return { truncated: true, blob: this.#keepJson(value) }
  }

  #keepJson(value: unknown): { id: string; url: string; contentType: string; bytes: number } {
    const isText = typeof value === 'string'
    const contentType = isText ? 'text/plain; charset=utf-8' : 'application/json'
    const bytes = Buffer.from(isText ? value : JSON.stringify(value))
    const id = this.#options.keep({ contentType, bytes })
    return { id, url: this.#options.urlOf(id), contentType, bytes: bytes.length }
  }
}

/** Media of a message that a turn has taken in, in the metadata of its start, or of a pending one. */
const OwnParts = z.looseObject({
  parts: z.array(z.custom<ContentPart>((part) => ContentPartSchema.safeParse(part).success)),
})

/** Splits the text, never inside a character. */
function pieces(text: string, charsMax: number): string[] {
  const all: string[] = []
  for (let start = 0; start < text.length; ) {
    let end = Math.min(start + charsMax, text.length)
    if (end < text.length && isHighSurrogate(text.charCodeAt(end - 1)) && end - start > 1) end -= 1
    all.push(text.slice(start, end))
    start = end
  }
  return all
}

function isHighSurrogate(code: number): boolean {
  return code >= 0xd800 && code <= 0xdbff
}

function ownMetadata(metadata: Record<string, unknown> | undefined): object {
  const own = metadata?.['agui-runner']
  return typeof own === 'object' && own !== null ? own : {}
}
