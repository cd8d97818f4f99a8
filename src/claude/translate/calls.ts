import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../agui/event.ts'
import { Block, type Owner } from './blocks.ts'
import type { UsedIds } from './ids.ts'
import type { ToolResult } from './tool-result.ts'

export interface Call {
  /** What AG-UI knows the call as; the tool_use id unless that was taken. */
  readonly id: string
  readonly owner: Owner
  readonly block: Block
  /** The client's own tool: only the client may answer it. */
  readonly client: boolean
  answered: boolean
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
  readonly #calls = new Map<string, Call>()
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
      this.#calls.set(toolUseId, { id, owner, block, client, answered: false })
    }
  }

  get(toolUseId: string): Call | undefined {
    return this.#calls.get(toolUseId)
  }

  /** Undefined when the call is told already: a repeated delivery, not a second call. */
  start(toolUseId: string, name: string, carrier: string, owner: Owner): Call | undefined {
    const known = this.#calls.get(toolUseId)
    if (known !== undefined && !known.answered) return undefined
    const id = this.#ids.claim(toolUseId)
    const client = this.#clientPrefix !== undefined && name.startsWith(this.#clientPrefix)
    const shown = client ? name.slice(this.#clientPrefix?.length) : name
    const block = new Block('tool', id, owner, { name: shown, carrier })
    const call = { id, owner, block, client, answered: false }
    this.#calls.set(toolUseId, call)
    if (client) this.#pending.push(id)
    return call
  }

  /** @returns the id of the result message, undefined when the call had its answer or is the client's to answer. */
  answer(toolUseId: string, result: ToolResult, owner: Owner, out: AguiEvent[]): string | undefined {
    const call = this.#calls.get(toolUseId)
    if (call?.answered === true || this.#orphans.has(toolUseId)) return undefined
    if (call === undefined) this.#orphans.add(toolUseId)
    // A tool runs as soon as its block is whole, so its result may overtake the block's own end.
    call?.block.close(out)
    if (call !== undefined) call.answered = true
    if (call?.client === true) return undefined
    const toolCallId = call?.id ?? toolUseId
    const messageId = this.#ids.claim(`${toolCallId}:result`)
    const metadata = result.isError ? { metadata: { 'agui-runner': { isError: true } } } : {}
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
      .filter(([, call]) => !call.answered)
      .slice(-OPEN_CALLS_MAX)
      .map(([toolUseId, { id, block, owner, client }]) => ({
        toolUseId,
        id,
        carrier: block.carrier,
        ...owner,
        ...(client ? { client } : {}),
      }))
  }
}
