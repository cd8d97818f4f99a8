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
import { Approvals } from './approvals.ts'
import { ClientTools, owedIds } from './client-tools.ts'
import { Elicitations } from './elicitations.ts'
import { type Asked, answeredEvent, editedEvents, type Grant } from './questions.ts'
import { createToolServer, type HostCall } from './tool-server.ts'

export interface HostOptions {
  expiresMs: number
  /** Whether nobody can be asked. */
  isAutonomous: boolean
  /** Returns the AG-UI id of the call that Claude Code names. */
  toolCallId(toolUseId: string): string
  /** Called when a question or call has become pending or is pending no more. */
  onChange(): void
  /** Emits the host's own events to the run in progress. */
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

/** The host of one Claude process: answers its requests for approvals, the client's tools, the shared state. */
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

  /** The questions that wait for a person. */
  get waiting(): Asked[] {
    return [...this.approvals.waiting, ...this.elicitations.waiting]
  }

  /** Gives a person's answers to those who asked. Returns what is kept of them. */
  respond(entries: readonly ResumeEntry[]): AguiEvent[] {
    return [
      ...this.elicitations.answer(entries).map(({ asked, answer }) => answeredEvent(asked, answer)),
      ...this.approvals
        .answer(entries)
        .flatMap(({ asked, answer }) => [answeredEvent(asked, answer), ...editedEvents(asked, answer)]),
    ]
  }

  /** Answers the next equal question from before a restart without asking, once. */
  grant(grant: Grant): void {
    if ('result' in grant) this.elicitations.grant(grant.elicitation, grant.result)
    else this.approvals.grant(grant.asked, grant.updatedInput)
  }

  /** Callback for the SDK. Tools that the host runs need no approval. */
  readonly canUseTool: CanUseTool = async (tool, input, options) =>
    this.#isOwn(tool)
      ? { behavior: 'allow', updatedInput: input }
      : await this.approvals.canUseTool(tool, input, options)

  /** Returns the in-process MCP servers for the next run. Undefined when they have not changed. */
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

  /** Gives the client's results to their calls. `isLast`: the client continues and will send no further results. */
  answer(results: readonly ToolMessage[], { isLast }: { isLast: boolean }): void {
    this.clientTools.answer(results, { isLast: isLast && this.waiting.length === 0 })
  }

  /**
   * Returns the end of a run that waits for a person or the client. Undefined when nothing is pending. A question to
   * the person goes before the client's own calls: an interrupt carries no list of those calls, and the client knows
   * which it has not answered (agui-1.0-producer.md A7.52).
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
