import type { ResumeEntry, Tool, ToolMessage } from '@ag-ui/core'
import { EventType } from '@ag-ui/core'
import type {
  CanUseTool,
  McpSdkServerConfigWithInstance,
  McpServerConfig,
} from '@anthropic-ai/claude-agent-sdk'
import type { RunEnd } from '../../agent/agent.ts'
import type { AguiEvent } from '../../agui/event.ts'
import { ownEvent } from '../../agui/own-events.ts'
import { type Answered, Approvals } from './approvals.ts'
import { ClientTools, owedIds } from './client-tools.ts'
import { Elicitations } from './elicitations.ts'
import type { Asked, Grant } from './questions.ts'
import { createToolServer, type HostCall } from './tool-server.ts'

export interface HostOptions {
  expiresMs: number
  /** Nobody is there to be asked. */
  isAutonomous: boolean
  /** The AG-UI id of the call that Claude Code names. */
  toolCallId(toolUseId: string): string
  /** Something has begun to wait, or waits no more. */
  onChange(): void
  /** Events of our own that belong into the run under way. */
  emit(events: readonly AguiEvent[]): void
}

const STATE_SERVER = 'agui'
const STATE_TOOL = {
  name: 'update_state',
  description:
    'Replaces the state that this conversation shares with the user’s application. Read the current one in the <state> block of the prompt.',
  parameters: {
    type: 'object',
    properties: { state: { description: 'The whole new state, any JSON value.' } },
    required: ['state'],
  },
}

/** What one Claude process asks of its host, us: approvals, the client's tools, the shared state. */
export class Host {
  readonly approvals: Approvals
  readonly clientTools: ClientTools
  readonly elicitations: Elicitations
  readonly #options: HostOptions
  #stateServer: McpSdkServerConfigWithInstance | undefined

  constructor(options: HostOptions) {
    this.#options = options
    this.approvals = new Approvals(options)
    this.clientTools = new ClientTools(options)
    this.elicitations = new Elicitations({
      expiresMs: options.expiresMs,
      isDeclining: options.isAutonomous,
      onChange: () => options.onChange(),
      onDeclined: ({ server, message, mode, url }) =>
        options.emit([ownEvent('elicitation_declined', { server, message, mode, url })]),
    })
  }

  /** Everything that waits for a person. */
  get waiting(): Asked[] {
    return [...this.approvals.waiting, ...this.elicitations.waiting]
  }

  /** Hands a person's answers over. Returns those to tool calls. */
  respond(entries: readonly ResumeEntry[]): Answered[] {
    this.elicitations.answer(entries)
    return this.approvals.answer(entries)
  }

  /** What was answered before a restart is not asked again, once. */
  grant(grant: Grant): void {
    if ('result' in grant) this.elicitations.grant(grant.elicitation, grant.result)
    else this.approvals.grant(grant.asked, grant.updatedInput)
  }

  /** Tools that the host runs need nobody's leave. */
  readonly canUseTool: CanUseTool = async (tool, input, options) =>
    this.#isOwn(tool)
      ? { behavior: 'allow', updatedInput: input }
      : await this.approvals.canUseTool(tool, input, options)

  /** MCP servers for the run that comes; `undefined` when they are what they were. */
  async offer(
    tools: readonly Tool[],
    hasState: boolean,
  ): Promise<Record<string, McpServerConfig> | undefined> {
    const isNew = await this.clientTools.offer(tools)
    const isStateNew = hasState && this.#stateServer === undefined
    if (isStateNew)
      this.#stateServer = await createToolServer(STATE_SERVER, [STATE_TOOL], (call) =>
        this.#updateState(call),
      )
    if (!isNew && !isStateNew) return undefined
    return {
      ...this.clientTools.servers,
      ...(this.#stateServer === undefined ? {} : { [STATE_SERVER]: this.#stateServer }),
    }
  }

  /** `isLast`: the client goes on, and what it has not answered now it never will. */
  answer(results: readonly ToolMessage[], { isLast }: { isLast: boolean }): void {
    this.clientTools.answer(results, { isLast: isLast && this.waiting.length === 0 })
  }

  /**
   * How a run ends for which somebody else has to act. A question to the person goes before the client's own calls:
   * an interrupt carries no list of them, the client knows which it has not answered (agui-1.0-producer.md A7.52).
   */
  end(): RunEnd | undefined {
    const { waiting } = this
    if (waiting.length > 0)
      return { outcome: 'interrupt', interrupts: waiting.map(({ interrupt }) => interrupt) }
    return this.clientTools.isAsked
      ? { outcome: 'success', pendingToolCallIds: owedIds(this.clientTools.waiting) }
      : undefined
  }

  #isOwn(tool: string): boolean {
    const { prefix } = this.clientTools
    const isClients = prefix !== undefined && tool.startsWith(prefix)
    return isClients || tool === `mcp__${STATE_SERVER}__${STATE_TOOL.name}`
  }

  async #updateState({ input }: HostCall) {
    this.#options.emit([{ type: EventType.STATE_SNAPSHOT, snapshot: input['state'] ?? {} }])
    return { content: [{ type: 'text' as const, text: 'The state is updated.' }] }
  }
}
