import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { Block, type EventOwner } from './blocks.ts'
import type { UsedIds } from './ids.ts'
import type { ToolResult } from './tool-result.ts'

export interface Call {
  /** What AG-UI knows the call as; the tool_use id unless that was taken. */
  readonly id: string
  readonly owner: EventOwner
  readonly block: Block
  /** The client's own tool: only the client may answer it. */
  readonly client: boolean
  answered: boolean
  /** Another call that waits has the same tool_use id: Claude Code runs both, and no result says whose it is. */
  isShared: boolean
}

/** A call that its run left without an answer. The answer may come in a later run, or never. */
export interface OpenCall {
  toolUseId: string
  id: string
  carrier?: string | undefined
  subagentRunId?: string | undefined
  client?: boolean | undefined
}

/** Calls of cancelled runs are never answered, so the list would grow for ever. */
const OPEN_CALLS_MAX = 100

/** The tool calls of a run, found by the id Claude Code uses for them. */
export class Calls {
  /** In call order. */
  readonly #calls = new Map<string, Call[]>()
  readonly #ids: UsedIds
  readonly #clientPrefix: string | undefined
  /** Answered without ever having been called, so far. */
  readonly #orphans = new Set<string>()
  /** Ids of the client's tools that this run called. */
  #pending: string[] = []

  constructor(options: { ids: UsedIds; clientPrefix: string | undefined; open: readonly OpenCall[] }) {
    this.#ids = options.ids
    this.#clientPrefix = options.clientPrefix
    for (const { toolUseId, id, carrier, subagentRunId, client = false } of options.open) {
      const owner = subagentRunId === undefined ? {} : { subagentRunId }
      const block = new Block('tool', id, owner, { name: '', carrier })
      block.close([])
      this.#add(toolUseId, { id, owner, block, client, answered: false, isShared: false })
    }
  }

  /** The latest of that id. */
  get(toolUseId: string): Call | undefined {
    return this.#calls.get(toolUseId)?.at(-1)
  }

  blocksOf(toolUseId: string): Block[] {
    return (this.#calls.get(toolUseId) ?? []).map(({ block }) => block)
  }

  /**
   * Undefined when the call was sent already: a repeated delivery, not a second call; unless the caller knows that it
   * is another one.
   */
  start(
    toolUseId: string,
    name: string,
    { carrier, owner, isAnother }: { carrier: string; owner: EventOwner; isAnother: boolean },
  ): Block | undefined {
    const known = this.get(toolUseId)
    if (known !== undefined && !known.answered && !isAnother) return undefined
    const id = this.#ids.claim(toolUseId)
    const client = this.#clientPrefix !== undefined && name.startsWith(this.#clientPrefix)
    const shown = client ? name.slice(this.#clientPrefix?.length) : name
    const block = new Block('tool', id, owner, { name: shown, carrier })
    this.#add(toolUseId, { id, owner, block, client, answered: false, isShared: false })
    if (client) this.#pending.push(id)
    return block
  }

  #add(toolUseId: string, call: Call): void {
    const waiting = (this.#calls.get(toolUseId) ?? []).filter(({ answered }) => !answered)
    const calls = [...waiting, call]
    if (waiting.length > 0) for (const each of calls) each.isShared = true
    this.#calls.set(toolUseId, calls)
  }

  /** @returns the id of the result message, undefined when the call had its answer or is the client's to answer. */
  answer(toolUseId: string, result: ToolResult, owner: EventOwner, out: AguiEvent[]): string | undefined {
    const calls = this.#calls.get(toolUseId)
    const call = calls?.find(({ answered }) => !answered)
    if ((calls !== undefined && call === undefined) || this.#orphans.has(toolUseId)) return undefined
    if (call === undefined) this.#orphans.add(toolUseId)
    // A tool runs as soon as its block is whole, so its result may overtake the block's own end.
    call?.block.close(out)
    if (call !== undefined) call.answered = true
    if (call?.client === true) return undefined
    const toolCallId = call?.id ?? toolUseId
    const messageId = this.#ids.claim(`${toolCallId}:result`)
    const facts = {
      ...(result.isError ? { isError: true } : {}),
      ...(result.isStructured === true ? { isStructured: true } : {}),
      ...(call?.isShared === true ? { isAmbiguous: true } : {}),
    }
    const metadata = Object.keys(facts).length === 0 ? {} : { metadata: { 'agui-runner': facts } }
    out.push({
      type: EventType.TOOL_CALL_RESULT,
      messageId,
      toolCallId,
      content: result.content,
      role: 'tool',
      ...metadata,
      ...(call?.owner ?? owner),
    })
    return messageId
  }

  /** The client's tools that wait for the client, in the order this run called them. */
  get pending(): string[] {
    return [...this.#pending]
  }

  /** The run ends; what it called is no longer of the run that follows. */
  forgetPending(): void {
    this.#pending = []
  }

  /** What still waits for an answer, for a later run. */
  open(): OpenCall[] {
    return [...this.#calls]
      .flatMap(([toolUseId, calls]) => calls.map((call) => ({ toolUseId, ...call })))
      .filter(({ answered }) => !answered)
      .slice(-OPEN_CALLS_MAX)
      .map(({ toolUseId, id, block, owner, client }) => ({
        toolUseId,
        id,
        carrier: block.carrier,
        ...owner,
        ...(client ? { client } : {}),
      }))
  }
}
