// What the runner publishes for observers: node:diagnostics_channel channels. Publishing costs nothing while nobody
// subscribes; on a hot path look at `hasSubscribers` before a message is made.
import { channel as openChannel } from 'node:diagnostics_channel'
import type { TokenUsage } from '@ag-ui/core'
import type { ModelCall, TraceCarrier } from './agent/trace.ts'
import type { AguiEvent } from './agui/event.ts'

export interface Channel<T> {
  readonly hasSubscribers: boolean
  publish(message: T): void
  /** @returns what takes the subscription back. */
  subscribe(listener: (message: T) => void): () => void
}

interface OfRun {
  threadId: string
  runId: string
}

export interface RunStarted extends OfRun {
  /** When it was admitted, in milliseconds since the epoch. */
  at: number
  /** Whose work it is a part of; a listener may put the run's own span there, for those behind it. */
  trace: TraceCarrier
}

/** Events of a run, as readers will get them: without secrets. */
export interface RunSaid extends OfRun {
  events: readonly AguiEvent[]
}

/** The agent asked a model. */
export interface ModelAsked extends OfRun {
  call: ModelCall
}

/** The agent's first event of a run. */
export interface RunAnswered extends OfRun {
  /** Since the run was admitted. */
  ms: number
}

export interface RunEnded extends OfRun {
  outcome: 'success' | 'interrupt' | 'cancelled' | 'error'
  /** Of an `error`. */
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

/** Of a process: whose it is, and the run that it works on, if it does. */
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

/** Something was refused because a rule says so, not because a person did. */
export interface PolicyDenied extends OfProcess {
  /** Who refused: Claude Code's permission rules, the runner's own enforcement, OpenShell. */
  by: 'claude-code' | 'runner' | 'openshell'
  /** What was asked for, in few distinct words: a tool's name, `network`, `file`. */
  what: string
  /** Which gate of the policy refused a connection or request, in few distinct words: `l4`, `ssrf`, `l7`. */
  gate?: string
  /** Where it was to go. */
  host?: string
  port?: number
  method?: string
  rule?: string | undefined
  reason?: string
}

export interface HttpAnswered {
  method: string
  /** The route's pattern, never the address that was asked for; `unknown` when there is none. */
  route: string
  status: number
}

/** A connection above the limit was hung up on. */
export interface ConnectionDropped {
  /** How many there may be. */
  max: number
}

/** Something was pushed to the control plane. */
export interface LinkPushed {
  to: 'messages' | 'events'
  /** False for what it does not take. */
  isTaken: boolean
}

/** The control plane has said something that is accepted. */
export interface LinkReceived {
  threadId: string
}

/** Work that nobody awaits has failed; the others go on. */
export interface BackgroundFailed extends Partial<OfRun> {
  /** What the work was, in few distinct words. */
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
      // Only this file can publish on the name's behalf, and only a T.
      const onMessage = (message: unknown): void => listener(message as T)
      channel.subscribe(onMessage)
      return () => channel.unsubscribe(onMessage)
    },
  }
}
