import { createHash } from 'node:crypto'
import type { Tool, ToolMessage } from '@ag-ui/core'
import type { McpSdkServerConfigWithInstance } from '@anthropic-ai/claude-agent-sdk'
import type { CallToolResult } from '@modelcontextprotocol/sdk/types.js'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import { createToolServer, type HostCall } from './tool-server.ts'

/** A call of a client's own tool whose result the client owes. Door of stored data. */
export const ClientCall = z.object({
  toolCallId: z.string(),
  tool: z.string(),
  input: z.record(z.string(), z.unknown()),
})
export type ClientCall = z.infer<typeof ClientCall>

interface Waiting extends ClientCall {
  settle(result: CallToolResult): void
}

/** With the server's prefix the model's limit of 64 characters is kept. */
const NAME = /^[A-Za-z0-9_-]{1,40}$/

/**
 * The tools that a client runs itself (agui-1.0-producer.md A7). A call waits here until a later run brings its
 * result; it is never answered by us.
 */
export class ClientTools {
  readonly #onChange: () => void
  readonly #toolCallId: (toolUseId: string) => string
  readonly #waiting = new Map<string, Waiting>()
  #name = ''
  #server: McpSdkServerConfigWithInstance | undefined

  constructor(options: { onChange(): void; toolCallId(toolUseId: string): string }) {
    this.#onChange = () => options.onChange()
    this.#toolCallId = (toolUseId) => options.toolCallId(toolUseId)
  }

  get waiting(): ClientCall[] {
    return [...this.#waiting.values()].map(({ toolCallId, tool, input }) => ({ toolCallId, tool, input }))
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

  /** Gives the results to the calls that wait for them; the rest learns that the client gave none. */
  answer(results: readonly ToolMessage[]): void {
    for (const waiting of [...this.#waiting.values()]) {
      const result = results.find(({ toolCallId }) => toolCallId === waiting.toolCallId)
      waiting.settle(
        result === undefined ? failure('The client went on without giving a result.') : toResult(result),
      )
    }
  }

  #call({ tool, toolUseId, input, signal }: HostCall): Promise<CallToolResult> {
    const toolCallId = this.#toolCallId(toolUseId)
    return new Promise((resolve) => {
      const settle = (result: CallToolResult): void => {
        this.#waiting.delete(toolCallId)
        resolve(result)
        this.#onChange()
      }
      this.#waiting.set(toolCallId, { toolCallId, tool, input, settle })
      signal.addEventListener('abort', () => settle(failure('The turn was stopped.')), { once: true })
      this.#onChange()
    })
  }
}

/** @throws {RunnerError} `invalid_input` for a name that the model's API would refuse. */
export function checkToolNames(tools: readonly Tool[]): void {
  const wrong = tools.find(({ name }) => !NAME.test(name))
  if (wrong === undefined) return
  const form = 'up to 40 letters, digits, "_" and "-"'
  throw new RunnerError('invalid_input', `tools: "${wrong.name}" cannot be the name of a tool; use ${form}.`)
}

function toResult({ content, error }: ToolMessage): CallToolResult {
  if (error !== undefined) return failure(error)
  if (typeof content === 'string') return { content: [{ type: 'text', text: content }] }
  return {
    content: content.map((part) => {
      if (part.type === 'text') return { type: 'text', text: part.text }
      const { source } = part
      return part.type === 'image' && source.type === 'data'
        ? { type: 'image', data: source.value, mimeType: source.mimeType }
        : {
            type: 'text',
            text: `[${part.type} at ${source.type === 'url' ? source.value : 'an unknown place'}]`,
          }
    }),
  }
}

function failure(text: string): CallToolResult {
  return { content: [{ type: 'text', text }], isError: true }
}

function digest(tools: readonly Tool[]): string {
  return createHash('sha256').update(JSON.stringify(tools)).digest('hex').slice(0, 8)
}
