import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { resultIdOf } from '../../agui/result-id.ts'
import { Block, type EventOwner } from './blocks.ts'
import type { UsedIds } from './ids.ts'
import type { ToolResult } from './tool-result.ts'

export interface Call {
  /** The AG-UI id of the call: the tool_use id unless that was taken. */
  readonly id: string
  readonly owner: EventOwner
  readonly block: Block
  /** Whether the tool is the client's own. Only the client may answer the call. */
  readonly client: boolean
  answered: boolean
  /** Whether another pending call has the same tool_use id. Claude Code runs both, and no result says whose it is. */
  isShared: boolean
}

/** A call that had no answer at the end of its run. The answer may come in a later run, or never. */
export interface OpenCall {
  toolUseId: string
  id: string
  carrier?: string | undefined
  subagentRunId?: string | undefined
  client?: boolean | undefined
}

/** Most open calls that are kept. Calls of cancelled runs are never answered, so the list would grow for ever. */
const OPEN_CALLS_MAX = 100

/** The tool calls of a run, by Claude Code's id. */
export class Calls {
  /** The calls by tool_use id, in call order. */
  readonly #calls = new Map<string, Call[]>()
  readonly #ids: UsedIds
  readonly #clientPrefix: string | undefined
  /** The tool_use ids that were answered without a call. */
  readonly #orphans = new Set<string>()
  /** AG-UI ids of this run's calls of the client's tools. */
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

  /** Returns the latest call with that id. */
  get(toolUseId: string): Call | undefined {
    return this.#calls.get(toolUseId)?.at(-1)
  }

  blocksOf(toolUseId: string): Block[] {
    return (this.#calls.get(toolUseId) ?? []).map(({ block }) => block)
  }

  /**
   * Returns the block of a new call. Undefined when a pending call has the id: that is a repeated delivery, unless
   * `isAnother` says that it is a second call.
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

  /** @returns the id of the result message; undefined when the call was answered already or is the client's own. */
  answer(toolUseId: string, result: ToolResult, owner: EventOwner, out: AguiEvent[]): string | undefined {
    const calls = this.#calls.get(toolUseId)
    const call = calls?.find(({ answered }) => !answered)
    if ((calls !== undefined && call === undefined) || this.#orphans.has(toolUseId)) return undefined
    if (call === undefined) this.#orphans.add(toolUseId)
    // A tool runs as soon as its block is whole, so its result may come before the block's end.
    call?.block.close(out)
    if (call !== undefined) call.answered = true
    if (call?.client === true) return undefined
    const toolCallId = call?.id ?? toolUseId
    const messageId = this.#ids.claim(resultIdOf(toolCallId))
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

  /** Ids of this run's calls of the client's tools, in call order. */
  get pending(): string[] {
    return [...this.#pending]
  }

  /** Clears `pending` at the end of a run: its calls do not count for the next run. */
  forgetPending(): void {
    this.#pending = []
  }

  /** Returns the calls without an answer, for a later run. */
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
