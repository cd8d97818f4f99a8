import type { Interrupt } from '@ag-ui/core'
import { isObject } from './values.ts'

/** What `GET /sessions/:id` says of a thread. A newer runner may add members. */
export interface ThreadDescription {
  threadId: string
  /** Set by `rename`, else the first line of the first prompt. */
  title?: string
  state: 'idle' | 'running' | 'interrupted' | 'failed'
  /** How the last run ended; absent before the first has. */
  lastOutcome?: 'success' | 'interrupt' | 'cancelled' | 'error'
  /** The seq of the newest record; 0 when there is none. */
  lastSeq: number
  /** The run under way. */
  runId?: string
  /** What waits for a person. */
  interrupts: Interrupt[]
  queue: {
    runId: string
    messageIds: string[]
    /** The first line of its message. */
    words: string
    /** `steer`: it was given to the running turn, which has not taken it in. */
    delivery: 'steer' | 'queue'
  }[]
  /** Tokens of all runs, one entry per provider and model. */
  usage: Record<string, unknown>[]
  /** What all runs have cost, in US dollars, where the agent says it. */
  costUsd?: number
  /** How full the conversation's context is, and what the model takes at most, in tokens. */
  context?: { tokens: number; window?: number }
  /** Milliseconds since 1970. */
  createdAt: number
  updatedAt: number
  model?: string
  claudeSessionId?: string
  /** Whether a Claude Code process is ready for the next run. */
  warm: boolean
}

/** Whether the value is a thread. The server is trusted: an object with a thread id is one. */
export function isThreadDescription(value: unknown): value is ThreadDescription {
  return isObject(value) && typeof value['threadId'] === 'string'
}
