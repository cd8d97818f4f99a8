import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'

/** The owner of events, spread into each of them. Empty for the main agent. */
export interface EventOwner {
  readonly subagentRunId?: string
}

/** Replaces half a surrogate pair whose other half never came. */
const REPLACEMENT = '\ufffd'

export type BlockKind = 'text' | 'reasoning' | 'tool'

/** One content block of a Claude message, which becomes one AG-UI message or tool call. */
export class Block {
  readonly kind: BlockKind
  /** The AG-UI message id or tool call id. */
  readonly id: string
  /** The id of the assistant message that a tool call belongs to. */
  readonly carrier: string | undefined
  readonly #owner: EventOwner
  readonly #name: string
  #started = false
  #isShown = false
  #open = true
  /** Number of UTF-16 units received. The text itself is not kept. */
  #length = 0
  /** The first half of a surrogate pair, until its second half comes. */
  #held = ''
  #encrypted = ''
  readonly #citations: unknown[] = []
  /** Whether the whole block was already seen as an `assistant` message. */
  delivered = false

  constructor(
    kind: BlockKind,
    id: string,
    owner: EventOwner,
    tool?: { name: string; carrier: string | undefined },
  ) {
    this.kind = kind
    this.id = id
    this.#owner = owner
    this.#name = tool?.name ?? ''
    this.carrier = tool?.carrier
  }

  /** Whether any event of the block was sent. */
  get isShown(): boolean {
    return this.#isShown
  }

  get open(): boolean {
    return this.#open
  }

  get length(): number {
    return this.#length
  }

  /** Opens the message or call. A text block is opened by its first characters, so an empty one makes no message. */
  start(out: AguiEvent[]): void {
    this.#started = true
    this.#isShown = true
    const messageId = this.id
    if (this.kind === 'text') {
      out.push({ type: EventType.TEXT_MESSAGE_START, messageId, role: 'assistant', ...this.#owner })
    } else if (this.kind === 'reasoning') {
      out.push({ type: EventType.REASONING_START, messageId, ...this.#owner })
      out.push({ type: EventType.REASONING_MESSAGE_START, messageId, role: 'reasoning', ...this.#owner })
    } else {
      const parent = this.carrier === undefined ? {} : { parentMessageId: this.carrier }
      out.push({
        type: EventType.TOOL_CALL_START,
        toolCallId: this.id,
        toolCallName: this.#name,
        ...parent,
        ...this.#owner,
      })
    }
  }

  append(piece: string, out: AguiEvent[]): void {
    if (piece === '' || !this.#open) return
    this.#length += piece.length
    let delta = piece
    const joins = isLowSurrogate(piece.charCodeAt(0))
    if (this.#held !== '') {
      delta = (joins ? this.#held : REPLACEMENT) + piece
      this.#held = ''
    } else if (joins) {
      delta = REPLACEMENT + piece.slice(1)
    }
    if (isHighSurrogate(delta.charCodeAt(delta.length - 1))) {
      this.#held = delta.slice(-1)
      delta = delta.slice(0, -1)
      if (delta === '') return
    }
    this.#emit(delta, out)
  }

  /** Adds a signature over the thinking, or thinking that only the provider can read. */
  encrypt(kind: 'signature' | 'redacted', value: string): void {
    this.#encrypted = this.#encrypted === '' ? `claude-${kind}:${value}` : this.#encrypted + value
  }

  cite(...citations: unknown[]): void {
    this.#citations.push(...citations)
  }

  /** Ends the message or call for this run. Later content opens it again under the same id. */
  suspend(out: AguiEvent[]): void {
    if (!this.#open) return
    this.close(out)
    this.#open = true
    this.#started = false
  }

  close(out: AguiEvent[]): void {
    if (!this.#open) return
    if (this.#held !== '') {
      // Half a surrogate pair would not survive protobuf.
      this.#held = ''
      this.#emit(REPLACEMENT, out)
    }
    this.#open = false
    if (!this.#started) return
    const messageId = this.id
    if (this.kind === 'text') {
      const cited = this.#citations.length > 0
      const metadata = cited ? { metadata: { 'agui-runner': { citations: this.#citations } } } : {}
      out.push({ type: EventType.TEXT_MESSAGE_END, messageId, ...metadata, ...this.#owner })
    } else if (this.kind === 'tool') {
      out.push({ type: EventType.TOOL_CALL_END, toolCallId: this.id, ...this.#owner })
    } else {
      out.push({ type: EventType.REASONING_MESSAGE_END, messageId, ...this.#owner })
      if (this.#encrypted !== '') {
        out.push({
          type: EventType.REASONING_ENCRYPTED_VALUE,
          subtype: 'message',
          entityId: messageId,
          encryptedValue: this.#encrypted,
          ...this.#owner,
        })
      }
      out.push({ type: EventType.REASONING_END, messageId, ...this.#owner })
    }
  }

  #emit(delta: string, out: AguiEvent[]): void {
    if (!this.#started) this.start(out)
    if (this.kind === 'text') {
      out.push({ type: EventType.TEXT_MESSAGE_CONTENT, messageId: this.id, delta, ...this.#owner })
    } else if (this.kind === 'tool') {
      out.push({ type: EventType.TOOL_CALL_ARGS, toolCallId: this.id, delta, ...this.#owner })
    } else {
      out.push({ type: EventType.REASONING_MESSAGE_CONTENT, messageId: this.id, delta, ...this.#owner })
    }
  }
}

function isLowSurrogate(unit: number): boolean {
  return unit >= 0xdc00 && unit <= 0xdfff
}

function isHighSurrogate(unit: number): boolean {
  return unit >= 0xd800 && unit <= 0xdbff
}
