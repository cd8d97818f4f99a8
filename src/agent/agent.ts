import type { Readable } from 'node:stream'
import type { Interrupt, RunAgentInput, TokenUsage, UserMessage } from '@ag-ui/core'
import type { AguiEvent } from '../agui/event.ts'
import type { ErrorCode } from '../errors.ts'
import type { ModelCall, TraceCarrier } from './trace.ts'

/**
 * What one run asks of the agent: a run input whose messages are only what is new to the thread, the user's and the
 * results of the client's own tools. The history is the agent's own.
 */
export type RunRequest = RunAgentInput & { trace?: TraceCarrier }

/** What the application sends beside the messages. */
export type Surroundings = Pick<RunRequest, 'tools' | 'context' | 'state'>

/** What a run has used, as far as the agent knows it. */
export interface RunUse {
  /** One entry per provider and model. */
  usage?: TokenUsage[]
  /** US dollars. */
  costUsd?: number
  context?: ContextUse
}

/** How full the conversation's context is, in tokens. */
export interface ContextUse {
  /** What the last request of the conversation held, with its answer. */
  tokens: number
  /** What the model takes at most. */
  window?: number | undefined
}

export type RunEnd = RunUse &
  (
    | { outcome: 'success'; result?: unknown; pendingToolCallIds?: string[] }
    | { outcome: 'interrupt'; interrupts: Interrupt[] }
    | { outcome: 'cancelled' }
    | { outcome: 'error'; code: ErrorCode; message: string }
  )

export interface RunContext {
  /**
   * Takes the events of this run in order. A returned promise asks the agent to wait, because the log is behind.
   * Lifecycle events are not the agent's: the thread opens and ends the run.
   */
  emit(events: readonly AguiEvent[]): Promise<void> | undefined
  /** Reports each request to a model when it has ended. Absent while nothing records them. */
  onModelCall?(call: ModelCall): void
  /** Aborted when the run must stop. The agent then ends as `cancelled` as soon as it can. */
  signal: AbortSignal
  /**
   * Resolves when the start of the run is in the log. Rejects when it cannot be written; then the run never existed. The
   * agent prepares meanwhile: until this resolves it asks no model and changes nothing that cannot stay changed.
   */
  begun: Promise<void>
}

/** What the agent remembers of a thread between runs and across restarts. Opaque to everything else. */
export type AgentMemory = Record<string, unknown>

/** One conversation with an agent. One run at a time. */
export interface AgentSession {
  /** The agent's name for people, as it stands in the middle of a sentence. */
  readonly agentName: string
  /** Runs to the end. Every failure of the agent is a `RunEnd`; a rejection is a bug. */
  run(request: RunRequest, context: RunContext): Promise<RunEnd>
  /**
   * Puts user messages into the running turn, all or none, with the surroundings of their run where they differ from the
   * turn's. Returns the parts that the model cannot be given, in words, and `undefined` when no turn can take the messages.
   * A message appears in the stream when the agent takes it in. A turn that has not taken it in by the end of its run
   * never will, unless the turn waits for an answer and continues in a later run.
   */
  steer(messages: readonly UserMessage[], run: Surroundings): string[] | undefined
  /** Prepares the first run, so that it starts at once. A failure is reported by that run. */
  warm(): Promise<void>
  /** Returns the tool servers as the running process sees them, and `undefined` while no process runs. */
  toolServers(signal: AbortSignal): Promise<ToolServer[] | undefined>
  /** Stops a task of the running process. Returns `false` when there is no such task. */
  stopTask(taskId: string, signal: AbortSignal): Promise<boolean>
  /**
   * Returns what a task of this conversation has written so far, in lines.
   *
   * @throws {RunnerError} `not_found`; `output_not_allowed` when the output is not a file of this conversation.
   */
  taskOutput(taskId: string): Promise<TaskOutput>
  /** Facts for clients. */
  describe(): AgentDescription
  readonly memory: AgentMemory
  /** Returns the memory to store with the start of this run, so that the run's own settings survive a kill in its middle. */
  memoryAhead(request: RunRequest): AgentMemory
  /** The current place in the conversation, for `takeBack`. Opaque; `undefined` where no later run can return to it. */
  readonly point: string | undefined
  /**
   * Makes the next run continue from that point, as if nothing had been said since. Open interrupts and calls are dropped.
   * Not while a run is in progress. Returns a function that undoes it until then, or `undefined` when nothing was changed.
   */
  takeBack(point: string): (() => void) | undefined
  /** The interrupts that wait for a person's answer. */
  readonly interrupts: readonly Interrupt[]
  /** The calls of the client's own tools that still lack a result. */
  readonly pendingToolCallIds: readonly string[]
  /**
   * Checks the parts of an input that only the agent understands, while the request can still be refused with a status.
   * `isSteering`: the input is for the running turn.
   *
   * @throws {RunnerError} naming the wrong part.
   */
  check(input: RunAgentInput, how: { isSteering: boolean }): void
  /** Sets the model of later runs that name none. The conversation continues. Returns the model before. */
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
  /** At most `size` bytes. The receiver destroys it. */
  stream: Readable
  size: number
}

export interface AgentDescription {
  model?: string
  /** The agent's own id of the conversation. */
  agentSessionId?: string
  /** Whether a process is ready for the next run. */
  warm: boolean
}

/** The facts of a conversation that may live in another process. */
export interface AgentView extends AgentDescription {
  interrupts: readonly Interrupt[]
}

export interface Agent {
  open(threadId: string, memory: AgentMemory): AgentSession
  look(memory: AgentMemory): AgentView
}
