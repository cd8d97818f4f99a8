import { type Effect, effectOf } from '../../../agui/items.ts'
import { idOfShown, readContent, readFailure, readUse, roleOf } from './content.ts'
import { isObject, type Json, ownMetadata, toList, toNumber, toObject, toText } from './fields.ts'
import type {
  Holder,
  Item,
  NoticeItem,
  ReasoningItem,
  ShownRun,
  SubagentItem,
  TextItem,
  ToolItem,
} from './model.ts'
import { newRun } from './new-run.ts'
import { newTool } from './new-tool.ts'
import { describeCustom } from './notice-texts.ts'
import { answeredWith } from './tool-state.ts'

type Handler = (event: Json) => void
type Opened = TextItem | ReasoningItem | ToolItem

/** The members of a text that do not follow from where its event belongs. */
type PlacedText = Pick<TextItem, 'role' | 'text' | 'attachments' | 'isOpen' | 'isPending'>
const SILENCE: PlacedText = { role: 'user', text: '', attachments: [], isOpen: false, isPending: false }

/** What a thread's events add up to. It takes each event once, in order; the page draws it and keeps nothing else. */
export class Timeline {
  readonly runs: ShownRun[] = []
  /** Grows with every change. */
  rev = 0
  /** Keyed as in agui/items.ts. */
  readonly #items = new Map<string, Opened>()
  readonly #subagents = new Map<string, SubagentItem>()
  readonly #open = new Set<Opened>()
  /** Calls that have no result yet: what they show depends on whether their run still goes on. */
  readonly #pending = new Set<ToolItem>()
  #keys = 0
  #seq = 0

  get run(): ShownRun | undefined {
    return this.runs.at(-1)
  }

  apply(event: Json, seq = 0): void {
    this.#seq = seq
    const type = toText(event['type']) ?? ''
    const effect = effectOf({ ...event, type })
    const handle = this.#handlers[type]
    if (handle !== undefined) handle(event)
    else if (effect !== undefined) this.#goOn(effect, event)
    else this.#note(event, { level: 'info', title: type, detail: '', value: event })
  }

  readonly #handlers: Readonly<Record<string, Handler | undefined>> = {
    RUN_STARTED: (event) => this.#startRun(event),
    RUN_FINISHED: (event) => this.#finishRun(event),
    RUN_ERROR: (event) => {
      const run = this.#currentRun()
      run.state = 'error'
      run.error = readFailure(event)
      for (const tool of this.#pending) tool.isWaiting = false
      this.#endRun(run, event)
    },
    TEXT_MESSAGE_START: (event) => {
      const role = toText(event['role']) ?? 'assistant'
      // What a person sends into a running turn has its pictures and documents here.
      const { attachments } = readContent(ownMetadata(event)['parts'])
      this.#addText(event, { ...SILENCE, role, attachments, isOpen: true })
    },
    REASONING_MESSAGE_START: (event) => {
      const holder = this.#holderOf(event)
      const item: ReasoningItem = {
        kind: 'reasoning',
        rev: 0,
        key: this.#nextKey(),
        holder,
        text: '',
        isOpen: true,
        isEncrypted: false,
      }
      this.#add(item)
      this.#items.set(`reasoning ${idOfShown(event)}`, item)
      this.#open.add(item)
    },
    REASONING_ENCRYPTED_VALUE: (event) => this.#encrypt(event),
    TOOL_CALL_START: (event) => this.#startTool(event),
    TOOL_CALL_RESULT: (event) => this.#addResult(event),
    SUBAGENT_STARTED: (event) => this.#startSubagent(event),
    SUBAGENT_FINISHED: (event) => this.#finishSubagent(event),
    SUBAGENT_ERROR: (event) => {
      const subagent = this.#subagents.get(toText(event['subagentRunId']) ?? '')
      if (subagent === undefined) return
      subagent.state = 'error'
      subagent.error = readFailure(event)
      this.#touch(subagent)
    },
    CUSTOM: (event) => this.#custom(event),
    STATE_SNAPSHOT: (event) =>
      this.#note(event, {
        level: 'info',
        title: 'State',
        detail: JSON.stringify(event['snapshot']),
        value: event['snapshot'],
      }),
  }

  /** Goes on with what an event opened. An event without an opened item, such as that of a span, changes nothing. */
  #goOn({ key, kind }: Effect, event: Json): void {
    const item = this.#items.get(key)
    if (item === undefined) return
    if (kind === 'delta') this.#say(item, event)
    if (kind === 'close') this.#close(item, toNumber(event['timestamp']))
  }

  #startRun(event: Json): void {
    const startedAt = toNumber(event['timestamp'])
    const run = newRun(toText(event['runId']) ?? '', { seq: this.#seq, isPartial: false, startedAt })
    const asked = this.run
    if (asked?.state === 'interrupt') this.#touch(Object.assign(asked, { isAnswered: true }))
    this.runs.push(run)
    for (const message of toList(toObject(event['input'])['messages']).filter(isObject)) {
      const { text, attachments } = readContent(message['content'])
      if (message['role'] === 'tool') this.#addResult(message)
      else if (message['role'] !== 'assistant')
        this.#addText({ messageId: message['id'] }, { ...SILENCE, role: roleOf(message), text, attachments })
    }
    this.#touch(run)
  }

  #finishRun(event: Json): void {
    const run = this.#currentRun()
    const { type, pendingToolCallIds } = toObject(event['outcome'])
    run.state = type === 'interrupt' || type === 'cancelled' ? type : 'success'
    if (event['result'] !== undefined) run.result = event['result']
    const interrupts = toList(toObject(event['outcome'])['interrupts']).map(toObject)
    const asking = new Set(interrupts.map((interrupt) => this.#toolOf(interrupt)))
    const owed = new Set(toList(pendingToolCallIds))
    for (const tool of this.#pending) {
      tool.isAsking = asking.has(tool)
      tool.isWaiting = type === 'interrupt' || owed.has(tool.id)
    }
    this.#endRun(run, event)
  }

  /** Closes what the run left open. */
  #endRun(run: ShownRun, event: Json): void {
    const endedAt = toNumber(event['timestamp'])
    Object.assign(run, readUse(event), endedAt === undefined ? {} : { endedAt })
    for (const item of this.#open) this.#close(item)
    for (const tool of this.#pending) this.#touch(Object.assign(tool, { isGoingOn: false }))
    for (const subagent of this.#subagents.values()) if (subagent.state === 'running') this.#touch(subagent)
    this.#touch(run)
  }

  /** The run under way. When retention has dropped its beginning, the first record makes a partial one. */
  #currentRun(): ShownRun {
    const last = this.run
    if (last !== undefined) return last
    const run = newRun('', { seq: 0, isPartial: true, startedAt: undefined })
    this.runs.push(run)
    return run
  }

  #holderOf(event: Json): Holder {
    return this.#subagents.get(toText(event['subagentRunId']) ?? '') ?? this.#currentRun()
  }

  #add(item: Item): void {
    item.holder.items.push(item)
    this.#touch(item)
  }

  #addText(event: Json, item: PlacedText): void {
    // The turn takes a pending message in under the same id, maybe with ":steered" behind it. It moves to this place.
    this.#settle(idOfShown(event).replace(/:steered$/, ''))
    const placed: TextItem = {
      kind: 'text',
      rev: 0,
      key: this.#nextKey(),
      holder: this.#holderOf(event),
      ...item,
    }
    this.#add(placed)
    this.#items.set(`text ${idOfShown(event)}`, placed)
    if (placed.isOpen) this.#open.add(placed)
  }

  #say(item: Opened, event: Json): void {
    const delta = toText(event['delta']) ?? ''
    if (item.kind === 'tool') item.args += delta
    else item.text += delta
    this.#touch(item)
  }

  #close(item: Opened, at?: number): void {
    if (!this.#open.delete(item)) return
    item.isOpen = false
    if (item.kind === 'tool' && at !== undefined) item.beganAt = at
    this.#touch(item)
  }

  #encrypt(event: Json): void {
    const item = this.#items.get(`reasoning ${toText(event['entityId']) ?? ''}`)
    const isHidden = toText(event['encryptedValue'])?.startsWith('claude-redacted:') === true
    if (item?.kind !== 'reasoning' || !isHidden) return
    item.isEncrypted = true
    this.#touch(item)
  }

  #toolOf(event: Json): ToolItem | undefined {
    return this.#tool(toText(event['toolCallId']) ?? '')
  }

  #tool(id: string): ToolItem | undefined {
    const item = this.#items.get(`tool ${id}`)
    return item?.kind === 'tool' ? item : undefined
  }

  #startTool(event: Json): void {
    const id = toText(event['toolCallId']) ?? ''
    const name = toText(event['toolCallName']) ?? 'tool'
    const tool = newTool(id, { name, holder: this.#holderOf(event), key: this.#nextKey() })
    this.#add(tool)
    this.#items.set(`tool ${id}`, tool)
    this.#open.add(tool)
    this.#pending.add(tool)
  }

  #addResult(event: Json): void {
    const tool = this.#toolOf(event)
    if (tool === undefined) {
      const { text: detail } = readContent(event['content'])
      this.#note(event, { level: 'info', title: 'Tool result', detail, value: event })
      return
    }
    const own = ownMetadata(event)
    const { url, bytes } = toObject(own['blob'])
    const endedAt = toNumber(event['timestamp'])
    this.#pending.delete(tool)
    Object.assign(tool, { isAsking: false, isWaiting: false }, endedAt === undefined ? {} : { endedAt })
    tool.result = {
      ...readContent(event['content']),
      isError: own['isError'] === true,
      ...(typeof url === 'string' ? { blob: { url, bytes: toNumber(bytes) } } : {}),
    }
    this.#touch(tool)
  }

  #startSubagent(event: Json): void {
    const id = toText(event['subagentRunId']) ?? ''
    const caller = this.#tool(toText(event['parentToolCallId']) ?? '')
    const parent = this.#subagents.get(toText(event['parentSubagentRunId']) ?? '')
    // A subagent that was suspended with its run starts again in the run that it goes on in, and is drawn there.
    const isAgain = this.#subagents.has(id)
    const subagent: SubagentItem = {
      kind: 'subagent',
      rev: 0,
      key: this.#nextKey(),
      holder: (isAgain ? undefined : caller) ?? parent ?? this.#currentRun(),
      id,
      name: toText(event['name']) ?? 'subagent',
      description: toText(event['description']) ?? '',
      state: 'running',
      items: [],
    }
    this.#add(subagent)
    this.#subagents.set(id, subagent)
  }

  #finishSubagent(event: Json): void {
    const subagent = this.#subagents.get(toText(event['subagentRunId']) ?? '')
    if (subagent === undefined) return
    subagent.state = toObject(event['outcome'])['type'] === 'suspended' ? 'suspended' : 'success'
    const totalTokens = toNumber(toObject(ownMetadata(event)['usage'])['totalTokens'])
    if (totalTokens !== undefined) subagent.totalTokens = totalTokens
    this.#touch(subagent)
  }

  /** Changes the item that the event is about; any other event becomes a notice. */
  #custom(event: Json): void {
    const name = toText(event['name']) ?? ''
    const value = toObject(event['value'])
    switch (name) {
      case 'agui-runner.retracted':
        for (const id of toList(value['messageIds'])) this.#retract(this.#items.get(`text ${id}`), value)
        for (const id of toList(value['messageIds'])) this.#retract(this.#items.get(`reasoning ${id}`), value)
        for (const id of toList(value['toolCallIds'])) this.#retract(this.#items.get(`tool ${id}`), value)
        return
      case 'agui-runner.answered':
        this.#changeTool(event, (tool) => Object.assign(tool, answeredWith(value)))
        return
      case 'agui-runner.tool_call_edited':
        this.#changeTool(event, (tool) => Object.assign(tool, { editedArgs: toObject(value['args']) }))
        return
      case 'agui-runner.taken_back':
        this.#replace(toNumber(value['afterSeq']) ?? Number.POSITIVE_INFINITY)
        this.#noteCustom(event)
        return
      case 'agui-runner.task':
        this.#progress(event)
        return
      case 'agui-runner.message_pending':
        this.#addPending(value)
        return
      case 'agui-runner.message_queued':
        this.#settle(idOfShown(value))
        this.#noteCustom(event)
        return
      case 'agui-runner.message_state':
      case 'agui-runner.thinking_tokens':
      case 'agui-runner.tool_progress':
        // The message, the thinking itself and the time of the call are shown.
        return
      default:
        this.#noteCustom(event)
    }
  }

  #addPending(value: Json): void {
    const { attachments } = readContent(value['parts'])
    this.#addText(value, { ...SILENCE, text: toText(value['content']) ?? '', attachments, isPending: true })
  }

  #noteCustom(event: Json): void {
    const value = event['value']
    this.#note(event, { ...describeCustom(toText(event['name']) ?? 'CUSTOM', value), value })
  }

  #changeTool(event: Json, change: (tool: ToolItem) => void): void {
    const tool = this.#toolOf(toObject(event['value']))
    if (tool === undefined) {
      this.#noteCustom(event)
      return
    }
    change(tool)
    this.#touch(tool)
  }

  /** Shows the task of a subagent in the subagent's card. */
  #progress(event: Json): void {
    const subagent = this.#subagents.get(toText(event['subagentRunId']) ?? '')
    if (subagent === undefined) {
      this.#noteCustom(event)
      return
    }
    const { description, totalTokens } = {
      ...toObject(event['value']),
      ...toObject(toObject(event['value'])['usage']),
    }
    subagent.progress = toText(description) ?? subagent.progress ?? ''
    subagent.totalTokens = toNumber(totalTokens) ?? subagent.totalTokens ?? 0
    this.#touch(subagent)
  }

  /** Marks the runs behind that record as replaced, but for the newest, which replaces them. */
  #replace(afterSeq: number): void {
    for (const run of this.runs.slice(0, -1)) {
      if (run.seq <= afterSeq) continue
      run.isReplaced = true
      this.#touch(run)
    }
  }

  #retract(item: Opened | undefined, { reason }: Json): void {
    if (item === undefined) return
    item.retracted = toText(reason) ?? 'taken back'
    this.#touch(item)
  }

  #note(event: Json, notice: Pick<NoticeItem, 'level' | 'title' | 'detail' | 'value'>): void {
    this.#add({ kind: 'notice', rev: 0, key: this.#nextKey(), holder: this.#holderOf(event), ...notice })
  }

  /** Removes a pending message, which now stands where it was taken in. */
  #settle(messageId: string): void {
    const item = this.#items.get(`text ${messageId}`)
    if (item?.kind !== 'text' || !item.isPending) return
    item.isPending = false
    const { items } = item.holder
    items.splice(items.indexOf(item), 1)
    this.#items.delete(`text ${messageId}`)
    this.#touch(item)
  }

  #nextKey(): number {
    this.#keys += 1
    return this.#keys
  }

  #touch(changed: Item | ShownRun): void {
    this.rev += 1
    for (let node: Item | ShownRun | undefined = changed; node !== undefined; node = node.holder)
      node.rev += 1
  }
}
