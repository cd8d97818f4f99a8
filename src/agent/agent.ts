import type { Readable } from 'node:stream'
import type { Interrupt, RunAgentInput, TokenUsage, UserMessage } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import type { ErrorCode } from '../errors.ts'

/**
 * What one run asks of the agent: a run input whose messages are only what is new to the thread, the user's and the
 * results of the client's own tools. The history is the agent's own.
 */
export type RunRequest = RunAgentInput

/** What the application says beside the messages. */
export type Surroundings = Pick<RunRequest, 'tools' | 'context' | 'state'>

export type RunEnd =
  | { outcome: 'success'; result?: unknown; usage?: TokenUsage[]; pendingToolCallIds?: string[] }
  | { outcome: 'interrupt'; interrupts: Interrupt[]; usage?: TokenUsage[] }
  | { outcome: 'cancelled'; usage?: TokenUsage[] }
  | { outcome: 'error'; code: ErrorCode; message: string; usage?: TokenUsage[] }

export interface RunContext {
  /**
   * Takes the events of this run in order; a returned promise asks the agent to wait (the log is behind).
   * Lifecycle events are not the agent's: the thread opens and ends the run.
   */
  emit(events: readonly AguiEvent[]): Promise<void> | undefined
  /** Aborted when the run is to stop; the agent then ends as `cancelled` as soon as it can. */
  signal: AbortSignal
  /**
   * Resolves when the run is in the log; rejects when it does not come there, and then it never was. The agent gets ready
   * meanwhile: before this resolves no model hears of the run, and nothing is changed that could not be left so.
   */
  begun: Promise<void>
}

/** What the agent wants remembered of a thread between runs and across restarts; opaque to everybody else. */
export type AgentMemory = Record<string, unknown>

/** One conversation with an agent. One run at a time. */
export interface AgentSession {
  /** What people call the agent, for the middle of a sentence. */
  readonly agentName: string
  /** Runs to the end; every failure of the agent is a `RunEnd`, a rejection is a bug. */
  run(request: RunRequest, context: RunContext): Promise<RunEnd>
  /**
   * Puts a user message into the running turn, with the surroundings of its run where the turn has others. Returns what
   * the model cannot be given of all this, in words; `undefined` when no turn is there to take it. It is told in the stream
   * when the agent takes it in. What the turn has not taken in when its run ends, it never will, unless it waits for
   * somebody and goes on in a later run.
   */
  steer(message: UserMessage, run: Surroundings): string[] | undefined
  /** Gets ready for the first run, so that it need not wait. The run reports a failure. */
  warm(): Promise<void>
  /** The tool servers as the living process sees them; `undefined` while none is warm. */
  toolServers(signal: AbortSignal): Promise<ToolServer[] | undefined>
  /** Stops a task of the living process; `false` when there is none. */
  stopTask(taskId: string, signal: AbortSignal): Promise<boolean>
  /**
   * What a task of this conversation has written so far, in lines.
   *
   * @throws {RunnerError} `not_found`; `output_not_allowed` when it is not a file of this conversation's own.
   */
  taskOutput(taskId: string): Promise<TaskOutput>
  /** Facts for clients. */
  describe(): AgentDescription
  readonly memory: AgentMemory
  /** The memory to store with the start of this run: what the run brings outlives a kill in its middle. */
  memoryAhead(request: RunRequest): AgentMemory
  /** Where the conversation stands, for `takeBack`; opaque. `undefined` where it cannot be taken back to. */
  readonly point: string | undefined
  /**
   * The next run goes on from that point, as if nothing had been said since; what waits for somebody is dropped. Not while
   * a run is under way. Returns what undoes it until then; `undefined`, with nothing changed, when it cannot be done.
   */
  takeBack(point: string): (() => void) | undefined
  /** What waits for a person's answer. */
  readonly interrupts: readonly Interrupt[]
  /** Calls of the client's own tools whose results are still owed. */
  readonly pendingToolCallIds: readonly string[]
  /**
   * Looks at what only the agent understands of an input, while it can still be refused with a status. `isSteering`: it
   * is to go into the running turn.
   *
   * @throws {RunnerError} naming the wrong part.
   */
  check(input: RunAgentInput, how: { isSteering: boolean }): void
  /** The model of later runs that name none; the conversation goes on. Returns the one before. */
  setModel(model: string): Promise<string | undefined>
  close(): Promise<void>
}

export interface ToolServer {
  name: string
  status: string
  error?: string
  tools?: string[]
}

export interface TaskOutput {
  /** At most `size` bytes. Whoever gets it destroys it. */
  stream: Readable
  size: number
}

export interface AgentDescription {
  model?: string
  /** What the agent itself calls the conversation. */
  agentSessionId?: string
  /** Whether a process stands ready. */
  warm: boolean
}

/** What is known of a conversation that another process may have. */
export interface AgentView extends AgentDescription {
  interrupts: readonly Interrupt[]
}

export interface Agent {
  open(threadId: string, memory: AgentMemory): AgentSession
  look(memory: AgentMemory): AgentView
}
