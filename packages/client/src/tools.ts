import type { Tool, ToolMessage } from '@ag-ui/core'
import type { RunnerEvent } from './events.ts'
import { newId } from './new-id.ts'

/** A tool that the client runs. Without `execute` the run ends with the call pending, and the caller answers it. */
export interface ClientTool extends Tool {
  /** Returns the result, a text or AG-UI content parts. What it throws reaches the model as the tool's failure. */
  execute?(
    args: unknown,
    call: { toolCallId: string; signal: AbortSignal | undefined },
  ): Promise<ToolMessage['content']>
}

interface Call {
  name: string
  args: string
}

/** Collects the calls of a run, and runs those that wait for the client. */
export class ToolCalls {
  readonly #calls = new Map<string, Call>()

  add(event: RunnerEvent): void {
    if (event.type === 'TOOL_CALL_START')
      this.#calls.set(event.toolCallId, { name: event.toolCallName, args: '' })
    if (event.type !== 'TOOL_CALL_ARGS') return
    const call = this.#calls.get(event.toolCallId)
    if (call !== undefined) call.args += event.delta
  }

  /** The results; undefined when a call has no `execute`, since the model gets all results together. */
  async results(
    pending: readonly string[],
    tools: readonly ClientTool[],
    signal: AbortSignal | undefined,
  ): Promise<ToolMessage[] | undefined> {
    const ready: (() => Promise<ToolMessage>)[] = []
    for (const toolCallId of pending) {
      const call = this.#calls.get(toolCallId)
      const tool = tools.find(({ name }) => name === call?.name)
      if (call === undefined || tool?.execute === undefined) return undefined
      ready.push(() => runTool(tool, call, { toolCallId, signal }))
    }
    return await Promise.all(ready.map((run) => run()))
  }
}

async function runTool(
  tool: ClientTool,
  { args }: Call,
  call: { toolCallId: string; signal: AbortSignal | undefined },
): Promise<ToolMessage> {
  const message = { id: newId(), role: 'tool', toolCallId: call.toolCallId } as const
  try {
    const content = await tool.execute?.(args === '' ? {} : JSON.parse(args), call)
    return { ...message, content: content ?? '' }
  } catch (error) {
    return { ...message, content: '', error: error instanceof Error ? error.message : String(error) }
  }
}
