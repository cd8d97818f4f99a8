// What the runner publishes for observers: node:diagnostics_channel channels. Publishing costs nothing without
// subscribers. On a hot path, check `hasSubscribers` before you build a message.
import { channel as openChannel } from 'node:diagnostics_channel'
import type { TokenUsage } from '@ag-ui/core'
import type { ModelCall, TraceCarrier } from './agent/trace.ts'
import type { AguiEvent } from './agui/event.ts'

export interface Channel<T> {
  readonly hasSubscribers: boolean
  publish(message: T): void
  /** @returns a function that unsubscribes. */
  subscribe(listener: (message: T) => void): () => void
}

interface OfRun {
  threadId: string
  runId: string
}

export interface RunStarted extends OfRun {
  /** When the run was admitted, in milliseconds since the epoch. */
  at: number
  /** The trace that the run is part of. A listener may put the run's own span here, for the systems that it calls. */
  trace: TraceCarrier
}

/** Events of a run as readers will get them, without secrets. */
export interface RunSaid extends OfRun {
  events: readonly AguiEvent[]
}

/** A request of the agent to a model has ended. */
export interface ModelAsked extends OfRun {
  call: ModelCall
}

/** The agent's first event of a run. */
export interface RunAnswered extends OfRun {
  /** Milliseconds since the run was admitted. */
  ms: number
}

export interface RunEnded extends OfRun {
  outcome: 'success' | 'interrupt' | 'cancelled' | 'error'
  /** The error code of the outcome `error`. */
  code?: string
  usage?: readonly TokenUsage[]
  ms: number
}

/** Records were committed. */
export interface LogAppended {
  threadId: string
  events: number
  bytes: number
}

export interface ReaderOpened {
  kind: 'sse' | 'protobuf' | 'socket'
}

export interface ReaderClosed extends ReaderOpened {
  ms: number
}

/** The thread of a process, and the run that it works on, if any. */
interface OfProcess {
  threadId: string
  runId?: string
}

export interface ClaudeStarted extends OfProcess {
  pid: number | undefined
}

export interface ClaudeExited extends ClaudeStarted {
  code: number | null
  signal: string | null
  /** Whether the runner had asked it to end. */
  wanted: boolean
}

/** A refusal by a rule, not by a person. */
export interface PolicyDenied extends OfProcess {
  /** Who refused: Claude Code's permission rules, the runner's own enforcement, OpenShell. */
  by: 'claude-code' | 'runner' | 'openshell'
  /** What was requested, from a small set of names: a tool's name, `network`, `file`. */
  what: string
  /** The gate of the policy that refused a connection or request, from a small set of names: `l4`, `ssrf`, `l7`. */
  gate?: string
  /** The target host of the refused connection or request. */
  host?: string
  port?: number
  method?: string
  rule?: string | undefined
  reason?: string
}

export interface HttpAnswered {
  method: string
  /** The route's pattern, never the requested URL; `unknown` when no route matched. */
  route: string
  status: number
}

/** A connection above the limit was closed. */
export interface ConnectionDropped {
  /** Upper bound of the open connections. */
  max: number
}

/** A push to the control plane was answered. */
export interface LinkPushed {
  to: 'messages' | 'events'
  /** Whether the control plane accepted the push. */
  isTaken: boolean
}

/** A message of the control plane was accepted. */
export interface LinkReceived {
  threadId: string
}

/** Work that nobody awaits has failed. Other work continues. */
export interface BackgroundFailed extends Partial<OfRun> {
  /** The name of the work, from a small set. */
  name: string
  error: unknown
}

export const runStarted = named<RunStarted>('agui-runner.run.started')
export const runSaid = named<RunSaid>('agui-runner.run.said')
export const modelAsked = named<ModelAsked>('agui-runner.model.asked')
export const runAnswered = named<RunAnswered>('agui-runner.run.answered')
export const runEnded = named<RunEnded>('agui-runner.run.ended')
export const logAppended = named<LogAppended>('agui-runner.log.appended')
export const readerOpened = named<ReaderOpened>('agui-runner.reader.opened')
export const readerClosed = named<ReaderClosed>('agui-runner.reader.closed')
export const claudeStarted = named<ClaudeStarted>('agui-runner.claude.started')
export const claudeExited = named<ClaudeExited>('agui-runner.claude.exited')
export const policyDenied = named<PolicyDenied>('agui-runner.policy.denied')
export const httpAnswered = named<HttpAnswered>('agui-runner.http.answered')
export const backgroundFailed = named<BackgroundFailed>('agui-runner.background.failed')
export const connectionDropped = named<ConnectionDropped>('agui-runner.http.dropped')
export const linkReceived = named<LinkReceived>('agui-runner.link.received')
export const linkPushed = named<LinkPushed>('agui-runner.link.pushed')

function named<T>(name: string): Channel<T> {
  const channel = openChannel(name)
  return {
    get hasSubscribers() {
      return channel.hasSubscribers
    },
    publish: (message) => channel.publish(message),
    subscribe(listener) {
      // Only this file publishes on the channel, and only messages of type T.
      const onMessage = (message: unknown): void => listener(message as T)
      channel.subscribe(onMessage)
      return () => channel.unsubscribe(onMessage)
    },
  }
}
