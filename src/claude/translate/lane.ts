import type { AguiEvent } from '../../agui/event.ts'
import { isObject } from '../../json.ts'
import { Block, type EventOwner } from './blocks.ts'
import type { Calls } from './calls.ts'
import type { UsedIds } from './ids.ts'
import { type ContentBlock, readBlock } from './messages.ts'
import { toToolResult } from './tool-result.ts'

/** The AG-UI ids that one Claude message became. */
export interface ShownIds {
  messageIds: string[]
  toolCallIds: string[]
}

export interface Whole {
  id: string
  contents: readonly ContentBlock[]
  /** Whether an interrupt cut the message. */
  aborted?: boolean
  aside?: boolean
}

/** One answer of the model: a Claude message id and its content blocks by index. */
interface Response {
  /** The Claude message id, made unique within the thread. */
  readonly base: string
  readonly streamed: boolean
  /** The blocks by index, in the order of their arrival. A block that is neither a message nor a call is not in it. */
  readonly blocks: Map<number, Block>
}

/** First index for blocks that come whole within a streamed answer: above all indexes that may still be streamed. */
const UNSTREAMED_INDEX = 1000

/** Number of answers kept. A whole message may come late, after the next answer began, but never later than that. */
const RESPONSES_MAX = 4

/**
 * The messages of one agent, the main one or a subagent. They come streamed, as whole `assistant` messages, or as
 * both. The `assistant` message of a streamed block arrives before the block's end and repeats it.
 */
export class Lane {
  readonly owner: EventOwner
  /** Whether a streamed answer has begun and not ended. */
  isStreaming = false
  /** The last text that came whole. */
  lastText: string | undefined
  readonly #calls: Calls
  readonly #ids: UsedIds
  readonly #responses = new Map<string, Response>()
  #current: Response | undefined
  /** Called with a block that has no translation. */
  readonly #onUnknown: (block: ContentBlock, out: AguiEvent[]) => void

  constructor(
    owner: EventOwner,
    shared: { calls: Calls; ids: UsedIds; onUnknown: (block: ContentBlock, out: AguiEvent[]) => void },
  ) {
    this.owner = owner
    this.#calls = shared.calls
    this.#ids = shared.ids
    this.#onUnknown = shared.onUnknown
  }

  /** @returns the unfinished messages and calls of an earlier answer, which this one replaces. */
  begin(id: string, out: AguiEvent[]): ShownIds {
    const replaced = this.#cut(this.#current, out)
    this.#current = this.#respond(id, true)
    this.isStreaming = true
    return replaced
  }

  openBlock(index: number, raw: unknown, out: AguiEvent[]): void {
    const content = readBlock(raw)
    if (content === undefined || this.#current === undefined || this.#current.blocks.has(index)) return
    const block = this.#open(this.#current, index, content, out)
    if (block === undefined) return
    if (block.kind !== 'text') block.start(out)
    block.append(content.text ?? content.thinking ?? '', out)
  }

  /** @param more texts of deltas right behind this one, which differ from it in nothing else. */
  delta(index: number, delta: Record<string, unknown>, more: readonly string[], out: AguiEvent[]): void {
    const block = this.#current?.blocks.get(index)
    if (block === undefined) return
    const text = textOf(delta)
    if (text !== undefined) {
      block.append(text, out)
      for (const each of more) block.append(each, out)
      return
    }
    switch (delta['type']) {
      case 'signature_delta':
        if (typeof delta['signature'] === 'string') block.encrypt('signature', delta['signature'])
        return
      case 'citations_delta':
        block.cite(delta['citation'])
        return
    }
  }

  closeBlock(index: number, out: AguiEvent[]): void {
    const block = this.#current?.blocks.get(index)
    if (block === undefined) return
    if (block.kind === 'tool' && block.length === 0) block.append('{}', out)
    block.close(out)
  }

  /**
   * Takes a whole `assistant` message: confirms the streamed blocks and sends the others. A message with another id
   * replaces an answer that is still streaming, unless it is `aside`, outside of the model's answers.
   */
  whole(message: Whole, out: AguiEvent[]): ShownIds & { replaced: ShownIds } {
    const { id, contents, aborted = false, aside = false } = message
    let response = this.#responses.get(id)
    const replaced = response === undefined && !aside ? this.#cut(this.#current, out) : nothing()
    if (response === undefined && !aside) this.isStreaming = false
    response ??= this.#respond(id, false)
    const shown = nothing()
    for (const content of contents) {
      if (content.type === 'text') this.lastText = content.text
      const block =
        this.#confirm(response, content, aborted, out) ?? this.#showWhole(response, content, aborted, out)
      if (block !== undefined) note(block, shown)
    }
    return { ...shown, replaced }
  }

  /** Closes blocks that Claude Code has given up. It will answer anew. */
  abandon(id: string, from: number, out: AguiEvent[]): ShownIds {
    const shown = nothing()
    for (const [index, block] of this.#responses.get(id)?.blocks ?? []) {
      if (index < from) continue
      block.close(out)
      block.delivered = true
      note(block, shown)
    }
    return shown
  }

  /** @returns the calls that were still open, whose arguments are not whole. */
  closeAll(out: AguiEvent[]): ShownIds {
    this.isStreaming = false
    const shown = nothing()
    for (const response of this.#responses.values()) {
      for (const block of response.blocks.values()) {
        if (block.kind === 'tool' && block.open && !block.delivered) note(block, shown)
        block.close(out)
      }
    }
    return shown
  }

  suspend(out: AguiEvent[]): void {
    for (const response of this.#responses.values()) {
      for (const block of response.blocks.values()) block.suspend(out)
    }
  }

  #respond(id: string, streamed: boolean): Response {
    const response = { base: this.#ids.claim(id), streamed, blocks: new Map<number, Block>() }
    this.#responses.delete(id)
    this.#responses.set(id, response)
    if (this.#responses.size > RESPONSES_MAX) {
      const oldest = [...this.#responses].find(([, each]) => each !== this.#current)?.[0]
      this.#responses.delete(oldest ?? '')
    }
    return response
  }

  /** Creates a block's message or call. Sends other content, such as a result, at once; it leaves no block. */
  #open(response: Response, index: number, content: ContentBlock, out: AguiEvent[]): Block | undefined {
    const id = `${response.base}:${index}`
    const isStreamed = response.streamed && index < UNSTREAMED_INDEX
    const block = this.#create(response, { id, isStreamed }, content)
    if (block !== undefined) {
      response.blocks.set(index, block)
      return block
    }
    if (content.type.endsWith('tool_result') && content.tool_use_id !== undefined) {
      this.#calls.answer(content.tool_use_id, toToolResult(content), this.owner, out)
    } else if (!content.type.endsWith('tool_use') && (isStreamed || !response.streamed)) {
      this.#onUnknown(content, out)
    }
    return undefined
  }

  #create(
    response: Response,
    { id, isStreamed }: { id: string; isStreamed: boolean },
    content: ContentBlock,
  ): Block | undefined {
    if (content.type === 'text') return new Block('text', id, this.owner)
    if (content.type === 'thinking') {
      const block = new Block('reasoning', id, this.owner)
      if (content.signature !== undefined && content.signature !== '')
        block.encrypt('signature', content.signature)
      return block
    }
    if (content.type === 'redacted_thinking') {
      const block = new Block('reasoning', id, this.owner)
      block.encrypt('redacted', content.data ?? '')
      return block
    }
    if (!content.type.endsWith('tool_use') || content.id === undefined) return undefined
    const carrier = carrierOf(response) ?? id
    // Each block of an answer is a call of its own, even when the model repeats an id.
    const shown = this.#calls.blocksOf(content.id)
    const isAnother = isStreamed || [...response.blocks.values()].some((block) => shown.includes(block))
    return this.#calls.start(content.id, content.name ?? content.type, {
      carrier,
      owner: this.owner,
      isAnother,
    })
  }

  /** Returns the streamed block that this whole one repeats, and adds what its stream lacked. */
  #confirm(response: Response, content: ContentBlock, aborted: boolean, out: AguiEvent[]): Block | undefined {
    const shown = content.type.endsWith('tool_use') ? this.#calls.blocksOf(content.id ?? '') : []
    const kind = kindOfBlock(content)
    const block = [...response.blocks.values()].find(
      (each) => !each.delivered && (shown.length === 0 ? each.kind === kind : shown.includes(each)),
    )
    if (block === undefined) return undefined
    block.delivered = true
    // Adds the end of a stream that was cut.
    if (block.kind === 'text') block.append((content.text ?? '').slice(block.length), out)
    else if (block.length === 0 && !aborted) block.append(fullText(content), out)
    return block
  }

  #showWhole(
    response: Response,
    content: ContentBlock,
    aborted: boolean,
    out: AguiEvent[],
  ): Block | undefined {
    const { streamed, blocks } = response
    const block = this.#open(response, blocks.size + (streamed ? UNSTREAMED_INDEX : 0), content, out)
    if (block === undefined) return undefined
    block.delivered = true
    if (block.kind !== 'text') block.start(out)
    block.append(fullText(content), out)
    if (Array.isArray(content['citations'])) block.cite(...content['citations'])
    if (block.kind === 'tool' && block.length === 0 && !aborted) block.append('{}', out)
    block.close(out)
    return block
  }

  #cut(response: Response | undefined, out: AguiEvent[]): ShownIds {
    const shown = nothing()
    for (const block of response?.blocks.values() ?? []) {
      if (!block.open) continue
      block.close(out)
      if (!block.delivered) note(block, shown)
    }
    return shown
  }
}

/**
 * Returns the id of the assistant message that a call belongs to: the text right before it, or the message of the calls
 * right before it. Undefined otherwise: the call then opens a message of its own. So the client lists it after the
 * reasoning that led to it and before its results.
 */
function carrierOf(response: Response): string | undefined {
  const before = [...response.blocks.values()].findLast((block) => block.kind !== 'text' || block.isShown)
  return before?.kind === 'text' ? before.id : before?.carrier
}

/** Returns the text that the delta adds to its block. */
function textOf({ type, text, thinking, partial_json: json }: Record<string, unknown>): string | undefined {
  const added = { text_delta: text, thinking_delta: thinking, input_json_delta: json }[String(type)]
  return typeof added === 'string' ? added : undefined
}

function kindOfBlock(content: ContentBlock): string {
  return content.type.endsWith('thinking') ? 'reasoning' : content.type
}

function fullText(content: ContentBlock): string {
  if (content.type === 'text') return content.text ?? ''
  if (content.type.endsWith('tool_use'))
    return isObject(content['input']) ? JSON.stringify(content['input']) : ''
  return content.thinking ?? ''
}

function note(block: Block, shown: ShownIds): void {
  if (!block.isShown) return
  if (block.kind === 'tool') shown.toolCallIds.push(block.id)
  else shown.messageIds.push(block.id)
}

function nothing(): ShownIds {
  return { messageIds: [], toolCallIds: [] }
}
