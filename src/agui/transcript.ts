import { EventType, type Message, type Metadata, mergeMetadata, type ToolCall } from '@ag-ui/core'
import type { AguiEvent } from './event.ts'
import { effectOf, isDelta, ownerOf } from './items.ts'
import { readOwn } from './own-events.ts'

type Assistant = Extract<Message, { role: 'assistant' }>

type RunStarted = Extract<AguiEvent, { type: EventType.RUN_STARTED }>
type RunEnded = Extract<AguiEvent, { type: EventType.RUN_FINISHED | EventType.RUN_ERROR }>
type Start<K extends EventType> = Extract<AguiEvent, { type: K }>

/** An open item with all its text so far. Its start event carries all metadata so far. */
type Opened =
  | { kind: 'text'; start: Start<EventType.TEXT_MESSAGE_START>; said: string[] }
  | { kind: 'tool'; start: Start<EventType.TOOL_CALL_START>; said: string[] }
  | { kind: 'reasoning'; start: Start<EventType.REASONING_MESSAGE_START>; said: string[] }
  | { kind: 'bare'; start: AguiEvent }

/**
 * A thread's messages as a client that read every event would hold them. It is fed the log from its beginning and gives
 * a client that holds nothing a legal start: the closed messages as a snapshot, and the open items opened again
 * (agui-1.0-producer.md A3.26: history is restated by snapshots and never streamed again).
 */
export class Transcript {
  readonly #messages = new Map<string, Message>()
  /** The seq at which each message began, by its id. It decides the message's place. */
  readonly #places = new Map<string, number>()
  #seq = 0
  /** The message that holds a tool call, by the call's id. */
  readonly #callers = new Map<string, string>()
  readonly #open = new Map<string, Opened>()
  #runStarted: RunStarted | undefined
  #runEnded: RunEnded | undefined
  #isOpen = false

  /** Whether a run is open. Retention may have removed its RUN_STARTED. */
  get isOpen(): boolean {
    return this.#isOpen
  }

  /** RUN_STARTED of the open run, if it was seen. */
  get openRun(): RunStarted | undefined {
    return this.#isOpen ? this.#runStarted : undefined
  }

  /** The terminal event of the last run, if no run is open. */
  get lastEnd(): RunEnded | undefined {
    return this.#runEnded
  }

  /** Returns the closed messages in a client's order: a result stands right behind the message with its call. */
  messages(): Message[] {
    const results = new Map<string, Message[]>()
    for (const message of this.#messages.values()) {
      const caller = message.role === 'tool' ? this.#callers.get(message.toolCallId) : undefined
      if (caller !== undefined) results.set(caller, [...(results.get(caller) ?? []), message])
    }
    const behind = new Set([...results.values()].flat())
    return [...this.#places.keys()].flatMap((id) => {
      const message = this.#messages.get(id)
      return message === undefined || behind.has(message) ? [] : [message, ...(results.get(id) ?? [])]
    })
  }

  /** Returns the events that open the open items again, with all their text so far. */
  openings(): AguiEvent[] {
    return [...this.#open.values()].flatMap((opened) => reopen(opened))
  }

  /** @param seq The event's seq, where earlier events are missing. */
  apply(event: AguiEvent, seq = this.#seq + 1): void {
    this.#isOpen = true
    this.#seq = seq
    switch (event.type) {
      case EventType.RUN_STARTED:
        this.#runStarted = event
        this.#runEnded = undefined
        for (const message of event.input?.messages ?? []) this.#put(message)
        return
      case EventType.RUN_FINISHED:
      case EventType.RUN_ERROR:
        this.#runStarted = undefined
        this.#runEnded = event
        this.#isOpen = false
        this.#closeAll()
        return
      case EventType.TOOL_CALL_RESULT: {
        const { messageId, toolCallId, content, metadata } = event
        const about = { ...ownerOf(event), ...(metadata === undefined ? {} : { metadata }) }
        this.#put({ id: messageId, role: 'tool', toolCallId, content, ...about })
        return
      }
      case EventType.REASONING_ENCRYPTED_VALUE:
        this.#encrypt(event.entityId, event.encryptedValue)
        return
      case EventType.CUSTOM:
        this.#applyOwn(event)
        return
      case EventType.MESSAGES_SNAPSHOT:
        this.#messages.clear()
        this.#places.clear()
        for (const message of event.messages) this.#put(message)
        return
      default:
        this.#applyItem(event)
    }
  }

  #applyItem(event: AguiEvent): void {
    const effect = effectOf(event)
    if (effect === undefined) return
    if (isDelta(event)) this.#say(effect.key, event)
    else if (effect.kind === 'open') this.#begin(effect.key, event)
    else if (effect.kind === 'close')
      this.#close(effect.key, 'metadata' in event ? event.metadata : undefined)
  }

  #begin(key: string, start: AguiEvent): void {
    switch (start.type) {
      case EventType.TEXT_MESSAGE_START:
        this.#place(start.messageId)
        this.#open.set(key, { kind: 'text', start, said: [] })
        return
      case EventType.TOOL_CALL_START:
        this.#place(start.parentMessageId ?? start.toolCallId)
        this.#open.set(key, { kind: 'tool', start, said: [] })
        return
      case EventType.REASONING_MESSAGE_START:
        this.#place(start.messageId)
        this.#open.set(key, { kind: 'reasoning', start, said: [] })
        return
      default:
        this.#open.set(key, { kind: 'bare', start })
    }
  }

  /** Applies our own events about streamed messages, for which AG-UI has none (docs/events.md). */
  #applyOwn(event: Start<EventType.CUSTOM>): void {
    const retracted = readOwn('retracted', event)
    for (const id of retracted?.messageIds ?? []) this.#messages.delete(id)
    for (const id of retracted?.toolCallIds ?? []) this.#changeCall(id, () => undefined)
    const takenBack = readOwn('taken_back', event)
    if (takenBack !== undefined) this.#takeBack(takenBack.afterSeq)
    const edited = readOwn('tool_call_edited', event)
    if (edited === undefined) return
    const args = JSON.stringify(edited.args)
    this.#changeCall(edited.toolCallId, (call) => ({
      ...call,
      function: { ...call.function, arguments: args },
    }))
  }

  /** Takes the conversation back. Messages that the starting run brings move to the end. */
  #takeBack(afterSeq: number): void {
    for (const [id, seq] of this.#places) {
      if (seq <= afterSeq) continue
      this.#places.delete(id)
      this.#messages.delete(id)
    }
    for (const message of this.#runStarted?.input?.messages ?? []) this.#put(message)
  }

  #place(id: string): void {
    if (!this.#places.has(id)) this.#places.set(id, this.#seq)
  }

  #changeCall(callId: string, change: (call: ToolCall) => ToolCall | undefined): void {
    const holder = this.#messages.get(this.#callers.get(callId) ?? '')
    if (holder?.role !== 'assistant') return
    const { toolCalls: before = [], ...message } = holder
    const toolCalls = before.flatMap((call) => (call.id === callId ? (change(call) ?? []) : call))
    if (toolCalls.length > 0) this.#put({ ...message, toolCalls })
    else if (message.content !== undefined) this.#put(message)
    else this.#messages.delete(message.id)
  }

  #put(message: Message): void {
    this.#place(message.id)
    this.#messages.set(message.id, message)
  }

  #say(key: string, { delta, metadata }: { delta: string; metadata?: Metadata }): void {
    const opened = this.#open.get(key)
    if (opened === undefined || opened.kind === 'bare') return
    opened.said.push(delta)
    describe(opened, metadata)
  }

  /** Closes every open item at the end of a run, with the text that it has. */
  #closeAll(): void {
    for (const key of [...this.#open.keys()]) this.#close(key)
  }

  #close(key: string, metadata?: Metadata): void {
    const opened = this.#open.get(key)
    this.#open.delete(key)
    if (opened === undefined || opened.kind === 'bare') return
    describe(opened, metadata)
    const said = opened.said.join('')
    if (opened.kind === 'tool') {
      this.#addCall(opened.start, said)
      return
    }
    const { messageId: id } = opened.start
    const known = this.#messages.get(id)
    const about = { ...ownerOf(opened.start), ...metadataOf(known, opened.start) }
    if (opened.kind === 'reasoning') {
      this.#put({ id, role: 'reasoning', content: said, ...about })
    } else if (known?.role === 'assistant') {
      this.#put({ ...known, content: `${known.content ?? ''}${said}`, ...about })
    } else {
      const role = opened.start.role ?? 'assistant'
      this.#put({ id, role, content: said, ...about })
    }
  }

  /** Adds the call where a client adds it: to the parent message of an assistant, else to a message of its own. */
  #addCall(start: Extract<AguiEvent, { type: EventType.TOOL_CALL_START }>, args: string): void {
    const call: ToolCall = {
      id: start.toolCallId,
      type: 'function',
      function: { name: start.toolCallName, arguments: args },
      ...metadataOf(undefined, start),
    }
    const wanted = start.parentMessageId ?? start.toolCallId
    const parent = this.#messages.get(wanted)
    const id = parent === undefined || parent.role === 'assistant' ? wanted : start.toolCallId
    const holder: Assistant =
      parent?.role === 'assistant' ? parent : { id, role: 'assistant', ...ownerOf(start) }
    this.#callers.set(start.toolCallId, id)
    this.#put({ ...holder, toolCalls: [...(holder.toolCalls ?? []), call] })
  }

  #encrypt(entityId: string, encryptedValue: string): void {
    const message = this.#messages.get(entityId)
    if (message !== undefined && message.role !== 'activity') {
      this.#put({ ...message, encryptedValue })
      return
    }
    this.#changeCall(entityId, (call) => ({ ...call, encryptedValue }))
  }
}

type Described = { metadata?: Metadata }

function describe(opened: Exclude<Opened, { kind: 'bare' }>, metadata: Metadata | undefined): void {
  if (metadata !== undefined) Object.assign(opened, { start: withMetadata(opened.start, metadata) })
}

function withMetadata<T extends Described>(target: T, metadata: Metadata): T {
  return { ...target, ...metadataOf(target, { metadata }) }
}

/** Merges metadata key by key; the later value wins (agui-1.0-producer.md A12.79). */
function metadataOf(known: Described | undefined, said: Described): Described {
  const metadata = mergeMetadata(known?.metadata, said.metadata)
  return metadata === undefined ? {} : { metadata }
}

function reopen(opened: Opened): AguiEvent[] {
  if (opened.kind === 'bare') return [opened.start]
  const delta = opened.said.join('')
  if (delta === '') return [opened.start]
  return [opened.start, contentOf(opened, delta)]
}

function contentOf(opened: Exclude<Opened, { kind: 'bare' }>, delta: string): AguiEvent {
  const owner = ownerOf(opened.start)
  if (opened.kind === 'tool') {
    return { type: EventType.TOOL_CALL_ARGS, toolCallId: opened.start.toolCallId, delta, ...owner }
  }
  const { messageId } = opened.start
  return opened.kind === 'text'
    ? { type: EventType.TEXT_MESSAGE_CONTENT, messageId, delta, ...owner }
    : { type: EventType.REASONING_MESSAGE_CONTENT, messageId, delta, ...owner }
}
