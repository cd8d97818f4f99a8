import { createHash } from 'node:crypto'
import type { Tool, ToolMessage } from '@ag-ui/core'
import { ToolMessageSchema } from '@ag-ui/core/schemas'
import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { skippedOf } from '../../agui/input.ts'
import { RunnerError } from '../../errors.ts'
import { mediumOf } from '../translate/medium.ts'
import { blocksOf, isRecord, readAssistant, readUser } from '../translate/messages.ts'
import { createToolServer, type HostCall, inputSchemaOf } from './tool-server.ts'

const Result = ToolMessageSchema.pick({ content: true, error: true })
type Result = z.infer<typeof Result>

/** A call of a client's own tool that the model has no result of yet. Door of stored data. */
export const ClientCall = z.object({
  toolCallId: z.string(),
  tool: z.string(),
  input: z.record(z.string(), z.unknown()),
  /** Given before Claude Code came to ask for it; without one the client owes it. */
  result: Result.optional(),
  /** Brought by a run that was killed: the client may bring it again, and need not. */
  brought: Result.optional(),
})
export type ClientCall = z.infer<typeof ClientCall>

interface Call extends Omit<ClientCall, 'toolCallId'> {
  /** Of the message that announced it. */
  uuid?: string | undefined
  /** There once Claude Code asks for the result: it makes such calls one after the other. */
  settle?: (result: CallToolResult) => void
  isOver: boolean
}

const NO_RESULT: Result = { content: '', error: 'The client went on without giving a result.' }

/** With the server's prefix the model's limit of 64 characters is kept. */
const NAME = /^[A-Za-z0-9_-]{1,40}$/

/**
 * The tools that a client runs itself (agui-1.0-producer.md A7). A call waits here until a later run brings its
 * result; it is never answered by us.
 *
 * The model may make several calls in one answer. Claude Code asks for the second result only when it has the first,
 * so a call is known from the message that announces it, and a result may be here before it is asked for.
 */
export class ClientTools {
  readonly #onChange: () => void
  readonly #toolCallId: (toolUseId: string) => string
  /** By the id Claude Code streams the call under, in the order it was announced. */
  readonly #calls = new Map<string, Call>()
  #name = ''
  #server: McpSdkServerConfigWithInstance | undefined

  constructor(options: { onChange(): void; toolCallId(toolUseId: string): string }) {
    this.#onChange = () => options.onChange()
    this.#toolCallId = (toolUseId) => options.toolCallId(toolUseId)
  }

  /** Every call of the turn that the model has no result of. */
  get waiting(): ClientCall[] {
    return [...this.#calls]
      .filter(([, { isOver }]) => !isOver)
      .map(([toolUseId, { tool, input, result }]) => ({
        toolCallId: this.#toolCallId(toolUseId),
        tool,
        input,
        ...(result === undefined ? {} : { result }),
      }))
  }

  /** Whether Claude Code can do no more before the client gives a result. */
  get isAsked(): boolean {
    return [...this.#calls.values()].some(({ settle }) => settle !== undefined)
  }

  /** What Claude Code puts before the tools' names; `undefined` when there are none. */
  get prefix(): string | undefined {
    return this.#name === '' ? undefined : `mcp__${this.#name}__`
  }

  get servers(): Record<string, McpSdkServerConfigWithInstance> {
    return this.#server === undefined ? {} : { [this.#name]: this.#server }
  }

  /**
   * The tools of the run that comes. Returns whether they are others than before: the server then has another name,
   * since Claude Code keeps the tools of a server whose name it knows (claude-code.md section 3).
   */
  async offer(tools: readonly Tool[]): Promise<boolean> {
    const name = tools.length === 0 ? '' : `ui_${digest(tools)}`
    if (name === this.#name) return false
    this.#name = name
    this.#server = name === '' ? undefined : await createToolServer(name, tools, (call) => this.#call(call))
    return true
  }

  /** Gives the results to their calls. The others wait on, or, with `isLast`, learn that the client gave none. */
  answer(results: readonly ToolMessage[], { isLast }: { isLast: boolean }): void {
    for (const [toolUseId, call] of [...this.#calls]) {
      if (call.isOver || call.result !== undefined) continue
      const toolCallId = this.#toolCallId(toolUseId)
      const result =
        results.find((message) => message.toolCallId === toolCallId) ?? (isLast ? NO_RESULT : undefined)
      if (result === undefined) continue
      if (call.settle === undefined) call.result = result
      else call.settle(toResult(result))
    }
  }

  /** Learns from what Claude Code says which calls there are, and which are over without the client. */
  hear(message: unknown): void {
    if (!isRecord(message)) return
    if (message['type'] === 'assistant') this.#hearCalls(message)
    else if (message['type'] === 'user') {
      for (const { tool_use_id: id = '' } of blocksOf(readUser(message)?.message.content ?? [])) this.#end(id)
    } else if (message['type'] === 'result') {
      // What a subagent in the background asked for is still asked for.
      for (const [id, { settle }] of this.#calls) if (settle === undefined) this.#calls.delete(id)
    }
  }

  #hearCalls(raw: Record<string, unknown>): void {
    const message = readAssistant(raw)
    const { prefix } = this
    if (message === undefined || prefix === undefined) return
    const { uuid, supersedes = [] } = message
    for (const [id, call] of this.#calls) if (supersedes.includes(call.uuid ?? '')) this.#end(id)
    for (const { type, id, name = '', ...block } of blocksOf(message.message.content)) {
      if (type !== 'tool_use' || id === undefined || !name.startsWith(prefix) || this.#calls.has(id)) continue
      const input = isRecord(block['input']) ? block['input'] : {}
      this.#calls.set(id, { tool: name.slice(prefix.length), input, uuid, isOver: false })
    }
  }

  #call({ tool, toolUseId, input, signal }: HostCall): Promise<CallToolResult> {
    const { result, uuid } = this.#calls.get(toolUseId) ?? {}
    if (result !== undefined) {
      this.#end(toolUseId)
      return Promise.resolve(toResult(result))
    }
    return new Promise((resolve) => {
      const settle = (answer: CallToolResult): void => {
        this.#end(toolUseId)
        resolve(answer)
        this.#onChange()
      }
      this.#calls.set(toolUseId, { tool, input, uuid, settle, isOver: false })
      signal.addEventListener('abort', () => settle(failure('The turn was stopped.')), { once: true })
      this.#onChange()
    })
  }

  /** Remembered until the turn ends: a message may come twice. */
  #end(toolUseId: string): void {
    const { tool, input } = this.#calls.get(toolUseId) ?? {}
    if (tool !== undefined && input !== undefined) this.#calls.set(toolUseId, { tool, input, isOver: true })
  }
}

/** The calls whose results the client owes. */
export function owedIds(calls: readonly ClientCall[]): string[] {
  return calls.flatMap(({ toolCallId, result }) => (result === undefined ? [toolCallId] : []))
}

/** @throws {RunnerError} `invalid_input` for a tool that the model's API would refuse, by its name. */
export function checkTools(tools: readonly Tool[]): void {
  const names = new Set<string>()
  for (const { name, parameters } of tools) {
    if (!NAME.test(name)) {
      const form = 'up to 40 letters, digits, "_" and "-"'
      throw new RunnerError('invalid_input', `tools: "${name}" cannot be the name of a tool; use ${form}.`)
    }
    if (names.has(name)) throw new RunnerError('invalid_input', `tools: two are named "${name}".`)
    names.add(name)
    inputSchemaOf(name, parameters)
  }
}

function toResult({ content, error }: Result): CallToolResult {
  const parts = typeof content === 'string' ? [{ type: 'text' as const, text: content }] : content
  if (error === undefined) return { content: parts.map(toContent) }
  // What the tool gave before it failed, or the same words twice.
  const given = parts.filter((part) => part.type !== 'text' || !['', error].includes(part.text))
  return { content: [...given.map(toContent), { type: 'text', text: error }], isError: true }
}

function toContent(part: Exclude<Result['content'], string>[number]): CallToolResult['content'][number] {
  if (part.type === 'text') return { type: 'text', text: part.text }
  const medium = mediumOf(part)
  if (medium.type === 'text') return { type: 'text', text: medium.text }
  if (medium.type === 'none') return { type: 'text', text: `[${medium.what}, which you cannot be given]` }
  const { source } = medium
  if (source.type === 'url') return { type: 'text', text: `[${part.type} at ${source.url}]` }
  if (medium.type === 'image') return { type: 'image', data: source.data, mimeType: source.media_type }
  const uri = `agui://${part.type}.pdf`
  return { type: 'resource', resource: { uri, mimeType: source.media_type, blob: source.data } }
}

/** What of the results the model cannot be given, in words. */
export function skippedResults(results: readonly ToolMessage[]): string[] {
  return results.flatMap((result) => {
    const parts = typeof result.content === 'string' ? [] : result.content
    const media = parts.flatMap((part) => (part.type === 'text' ? [] : [mediumOf(part)]))
    return [...skippedOf(result), ...media.flatMap((medium) => (medium.type === 'none' ? [medium.what] : []))]
  })
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true }
}

function digest(tools: readonly Tool[]): string {
  return createHash('sha256').update(JSON.stringify(tools)).digest('hex').slice(0, 8)
}
