import {
  type ContentPart,
  contentToText,
  type Message,
  type TextMessageContentEvent,
  type TextMessageStartEvent,
} from '@ag-ui/core'
import type { Attributes } from '@opentelemetry/api'
import type { RunEnded } from '../channels.ts'

/** Upper bound of the content of one span, in UTF-16 code units. The rest is cut off, with a mark. */
const CONTENT_CHARS_MAX = 64 * 1024
const CUT = ' [cut]'

/** The conventions have no word for `cancelled`, and allow others. */
const FINISH_REASONS: Record<RunEnded['outcome'], string> = {
  success: 'stop',
  interrupt: 'tool_call',
  cancelled: 'cancelled',
  error: 'error',
}

/**
 * The messages or the tool call of a span, for its attributes in the form of OpenTelemetry's `gen_ai.*.messages`. It
 * keeps nothing unless `captures` is true. Its input must already be free of secrets.
 */
export class SpanContent {
  readonly #captures: boolean
  #left = CONTENT_CHARS_MAX
  #isCut = false
  #arguments = ''
  #asked: object[] = []
  readonly #said = new Map<string, { role: string; text: string }>()

  constructor(captures: boolean) {
    this.#captures = captures
  }

  asked(messages: readonly Message[]): void {
    if (!this.#captures) return
    for (const { role, content } of messages) {
      if (role === 'user' && !this.#isCut)
        this.#asked.push(toMessage(role, this.#fit(contentToText(content))))
    }
  }

  said(event: TextMessageStartEvent | TextMessageContentEvent): void {
    if (!this.#captures || this.#isCut) return
    if ('delta' in event) {
      const message = this.#said.get(event.messageId)
      if (message !== undefined) message.text += this.#fit(event.delta)
    } else this.#said.set(event.messageId, { role: event.role ?? 'assistant', text: '' })
  }

  add(argumentsDelta: string): void {
    if (this.#captures) this.#arguments += this.#fit(argumentsDelta)
  }

  /** Replaces the arguments with those that a person approved instead. */
  edit(callArguments: string): void {
    this.#arguments = ''
    this.add(callArguments)
  }

  /** @param outcome The run's end. It is the reason why its last message ended; the earlier ones led to tool calls. */
  ofMessages(outcome: RunEnded['outcome']): Attributes {
    if (!this.#captures) return {}
    const all = [...this.#said.values()]
    const of = (role: string): object[] =>
      all.filter((it) => it.role === role).map((it) => toMessage(role, it.text))
    const said = of('assistant').map((message, index, { length }) => ({
      ...message,
      finish_reason: index < length - 1 ? 'tool_call' : FINISH_REASONS[outcome],
    }))
    return {
      'gen_ai.input.messages': JSON.stringify([...this.#asked, ...of('user')]),
      'gen_ai.output.messages': JSON.stringify(said),
    }
  }

  ofTool(result: string | readonly ContentPart[]): Attributes {
    if (!this.#captures) return {}
    const text = typeof result === 'string' ? result : contentToText([...result])
    return {
      // They are unknown when a runner before this one had the call.
      ...(this.#arguments !== '' && { 'gen_ai.tool.call.arguments': this.#arguments }),
      'gen_ai.tool.call.result': this.#fit(text),
    }
  }

  /** Returns the part of the text for which there is room. The mark ends the last part, and later text is dropped. */
  #fit(text: string): string {
    if (this.#isCut) return ''
    const fitting = text.slice(0, this.#left)
    this.#left -= fitting.length
    this.#isCut = fitting.length < text.length
    return this.#isCut ? fitting + CUT : fitting
  }
}

function toMessage(role: string, content: string): object {
  return { role, parts: [{ type: 'text', content }] }
}
