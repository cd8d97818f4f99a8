import { createHash } from 'node:crypto'
import type { Tool, ToolMessage } from '@ag-ui/core'
import { ToolMessageSchema } from '@ag-ui/core/schemas'
import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { skippedOf } from '../../agui/input.ts'
import { RunnerError } from '../../errors.ts'
import { isObject } from '../../json.ts'
import { mediumOf } from '../translate/medium.ts'
import { blocksOf, readAssistant, readUser } from '../translate/messages.ts'
import { createToolServer, type HostCall, inputSchemaOf } from './tool-server.ts'

const Result = ToolMessageSchema.pick({ content: true, error: true })
type Result = z.infer<typeof Result>

/** A call of a client's own tool for which the model has no result yet. Stored data is checked by this schema. */
export const ClientCall = z.object({
  toolCallId: z.string(),
  tool: z.string(),
  input: z.record(z.string(), z.unknown()),
  /** The client's result, received before Claude Code asked for it. The client owes it while it is absent. */
  result: Result.optional(),
  /** The result from a run that was killed. The client may send it again but need not. */
  brought: Result.optional(),
})
export type ClientCall = z.infer<typeof ClientCall>

interface Call extends Omit<ClientCall, 'toolCallId'> {
  /** Uuid of the message that announced the call. */
  uuid?: string | undefined
  /** Set once Claude Code asks for the result, which it does for one call after the other. */
  settle?: (result: CallToolResult) => void
  isOver: boolean
}

const NO_RESULT: Result = { content: '', error: 'The client went on without giving a result.' }

/** Form of a tool's name. With the server's prefix it stays within the model's limit of 64 characters. */
const NAME = /^[A-Za-z0-9_-]{1,40}$/

/**
 * The tools that a client runs itself (agui-1.0-producer.md A7). A call waits here until a later run brings its
 * result. The runner never makes up a successful one.
 *
 * The model may make several calls in one answer. Claude Code asks for the second result only when it has the first.
 * So a call is known from the message that announces it, and its result may arrive before Claude Code asks for it.
 */
export class ClientTools {
  readonly #onChange: () => void
  readonly #toolCallId: (toolUseId: string) => string
  /** The calls by Claude Code's id, in the order of their announcement. */
  readonly #calls = new Map<string, Call>()
  #name = ''
  #server: McpSdkServerConfigWithInstance | undefined

  constructor(options: { onChange(): void; toolCallId(toolUseId: string): string }) {
    this.#onChange = () => options.onChange()
    this.#toolCallId = (toolUseId) => options.toolCallId(toolUseId)
  }

  /** The calls of the turn for which the model has no result. */
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

  /** Whether Claude Code waits for a result of the client. */
  get isAsked(): boolean {
    return [...this.#calls.values()].some(({ settle }) => settle !== undefined)
  }

  /** The prefix that Claude Code adds to the tools' names. Undefined when there are no tools. */
  get prefix(): string | undefined {
    return this.#name === '' ? undefined : `mcp__${this.#name}__`
  }

  get servers(): Record<string, McpSdkServerConfigWithInstance> {
    return this.#server === undefined ? {} : { [this.#name]: this.#server }
  }

  /**
   * Sets the tools of the next run. Returns whether they have changed. The server then gets a new name, because Claude
   * Code keeps the tools of a server whose name it knows (claude-code.md section 3).
   */
  async offer(tools: readonly Tool[]): Promise<boolean> {
    const name = tools.length === 0 ? '' : `ui_${digest(tools)}`
    if (name === this.#name) return false
    this.#name = name
    this.#server = name === '' ? undefined : await createToolServer(name, tools, (call) => this.#call(call))
    return true
  }

  /** Gives the results to their calls. The other calls keep waiting, or with `isLast` get an error as their result. */
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

  /** Learns from Claude Code's messages which calls exist and which have ended without the client. */
  hear(message: unknown): void {
    if (!isObject(message)) return
    if (message['type'] === 'assistant') this.#hearCalls(message)
    else if (message['type'] === 'user') {
      for (const { tool_use_id: id = '' } of blocksOf(readUser(message)?.message.content ?? [])) this.#end(id)
    } else if (message['type'] === 'result') {
      // Claude Code still waits for the results of a background subagent's calls.
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
      const input = isObject(block['input']) ? block['input'] : {}
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

  /** Marks the call as over. It is remembered until the turn ends, because its message may come twice. */
  #end(toolUseId: string): void {
    const { tool, input } = this.#calls.get(toolUseId) ?? {}
    if (tool !== undefined && input !== undefined) this.#calls.set(toolUseId, { tool, input, isOver: true })
  }
}

/** Returns the ids of the calls whose results the client owes. */
export function owedIds(calls: readonly ClientCall[]): string[] {
  return calls.flatMap(({ toolCallId, result }) => (result === undefined ? [toolCallId] : []))
}

/** @throws {RunnerError} `invalid_input` naming the tool that the model's API would refuse. */
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
  // The content is the tool's output before it failed. A text that only repeats the error is left out.
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

/** Describes the parts of the results that the model cannot be given. */
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
