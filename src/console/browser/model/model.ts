// What the page shows of a thread. Timeline makes it and the components draw it; neither knows of the other.
import type { ToolDecision } from './decision.ts'
import type { Json } from './fields.ts'

/** Anything that is shown. `rev` grows with every change of the node or of what it holds, so a component can skip the rest. */
interface Node {
  rev: number
}

interface Held extends Node {
  readonly holder: Holder
  /** Unique in the timeline; a component is found by it when it is drawn again. */
  readonly key: number
}

/** A part of a message that is no text. */
export interface Attachment {
  mimeType: string
  /** Where its bytes are, when the event does not hold them. */
  url?: string
  /** Its bytes, in base64. */
  data?: string
}

export interface Content {
  text: string
  attachments: readonly Attachment[]
}

export interface TextItem extends Held, Content {
  readonly kind: 'text'
  readonly role: string
  isOpen: boolean
  /** It was steered, and the running turn has not taken it in yet. */
  isPending: boolean
  /** Why Claude Code took it back; absent when it did not. */
  retracted?: string
}

export interface ReasoningItem extends Held {
  readonly kind: 'reasoning'
  text: string
  isOpen: boolean
  /** Some of the thinking can be read by the provider only. */
  isEncrypted: boolean
  retracted?: string
}

interface ToolResult extends Content {
  isError: boolean
  /** Where the whole result is, when the event has only its beginning. */
  blob?: { url: string; bytes: number | undefined }
}

export interface ToolItem extends Held {
  readonly kind: 'tool'
  readonly id: string
  readonly name: string
  /** The JSON that was streamed so far. */
  args: string
  isOpen: boolean
  /** A person is asked whether it may run. */
  isAsking: boolean
  /** It comes behind a call that asks, or its client has to run it. */
  isWaiting?: boolean
  /** A person answered, and the run that brought the answer is under way. */
  isGoingOn?: boolean
  decision?: ToolDecision
  /** The arguments that a person put in place of the model's. */
  editedArgs?: Json
  /** When it began to run, in milliseconds since 1970: when its arguments were whole, or a person allowed it. */
  beganAt?: number
  endedAt?: number
  result?: ToolResult
  retracted?: string
  /** The subagents it started. */
  readonly items: Item[]
}

export interface SubagentItem extends Held {
  readonly kind: 'subagent'
  readonly id: string
  readonly name: string
  readonly description: string
  state: 'running' | 'success' | 'suspended' | 'error'
  /** What it is doing, in its own words. */
  progress?: string
  error?: Failure
  totalTokens?: number
  readonly items: Item[]
}

export type Level = 'info' | 'warn' | 'bad'

/** A CUSTOM event, or an event that this page does not know. */
export interface NoticeItem extends Held {
  readonly kind: 'notice'
  readonly level: Level
  readonly title: string
  readonly detail: string
  /** The whole value of the event. */
  readonly value: unknown
}

export type Item = TextItem | ReasoningItem | ToolItem | SubagentItem | NoticeItem

export interface Failure {
  code: string
  message: string
}

export interface Usage {
  model: string
  inputTokens: number
  outputTokens: number
  cachedInputTokens: number
}

/** How full the conversation's context is, in tokens. */
export interface ShownContext {
  tokens: number
  /** What the model takes at most; undefined where the runner does not know it. */
  window: number | undefined
}

type RunState = 'running' | 'success' | 'cancelled' | 'interrupt' | 'error'

export interface ShownRun extends Node {
  readonly kind: 'run'
  readonly holder?: never
  readonly runId: string
  /** The seq of its first record. */
  readonly seq: number
  /** It asked a person, and the conversation has gone on since. */
  isAnswered?: boolean
  /** The conversation was taken back to before it. */
  isReplaced?: boolean
  /** Retention has dropped its beginning. */
  readonly isPartial: boolean
  /** Milliseconds since the epoch. */
  startedAt?: number
  endedAt?: number
  state: RunState
  error?: Failure
  /** Its structured output. */
  result?: unknown
  usage: readonly Usage[]
  /** US dollars. */
  costUsd?: number
  context?: ShownContext
  readonly items: Item[]
}

export type Holder = ShownRun | SubagentItem | ToolItem
