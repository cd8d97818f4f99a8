// What the page shows of a thread. Made by Timeline, drawn by the components; neither knows of the other.
import type { Json } from './fields.ts'

/** Whatever is shown. `rev` grows with every change of the node or of what it holds, so a component can skip the rest. */
interface Node {
  rev: number
}

interface Held extends Node {
  readonly holder: Holder
  /** Its own in the timeline, from 0: what it is found by when it is drawn again. */
  readonly key: number
}

/** Something that is not text. */
export interface Attachment {
  mimeType: string
  /** Where the whole of it is, when it is not in the event itself. */
  url?: string
  /** The bytes in base64. */
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
  /** Steered, and not yet taken in by the running turn. */
  isPending: boolean
  /** Claude Code took it back, with its reason. */
  retracted?: string
}

export interface ReasoningItem extends Held {
  readonly kind: 'reasoning'
  text: string
  isOpen: boolean
  /** There is thinking that only the provider can read. */
  isEncrypted: boolean
  retracted?: string
}

interface ToolResult extends Content {
  isError: boolean
  /** The whole of a result that was cut. */
  blob?: { url: string; bytes: number | undefined }
}

export interface ToolItem extends Held {
  readonly kind: 'tool'
  readonly id: string
  readonly name: string
  /** JSON as it was streamed, maybe not complete. */
  args: string
  isOpen: boolean
  /** A person is asked whether it may run. */
  isAsking: boolean
  /** A person let it run with these instead. */
  editedArgs?: Json
  elapsedSeconds?: number
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

/** A CUSTOM event, or one this page does not know. */
export interface NoticeItem extends Held {
  readonly kind: 'notice'
  readonly level: Level
  readonly title: string
  readonly detail: string
  /** The event's value, for who wants to see all of it. */
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

type RunState = 'running' | 'success' | 'cancelled' | 'interrupt' | 'error'

export interface ShownRun extends Node {
  readonly kind: 'run'
  readonly holder?: never
  readonly runId: string
  /** Of its first record. */
  readonly seq: number
  /** The conversation was taken back to before it. */
  isReplaced?: boolean
  /** Its beginning was dropped by retention. */
  readonly isPartial: boolean
  /** Milliseconds since the epoch. */
  startedAt?: number
  endedAt?: number
  state: RunState
  error?: Failure
  /** Structured output. */
  result?: unknown
  usage: readonly Usage[]
  readonly items: Item[]
}

export type Holder = ShownRun | SubagentItem | ToolItem
