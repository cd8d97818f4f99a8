import type { Interrupt } from '@ag-ui/core'
import { isObject } from './values.ts'

/** What the runner says of a thread. Members that it may add later are not named here. */
export interface ThreadDescription {
  threadId: string
  /** As `rename` set it, else the first line of its first prompt. */
  title?: string
  state: 'idle' | 'running' | 'interrupted' | 'failed'
  lastSeq: number
  /** The run under way. */
  runId?: string
  /** What waits for a person. */
  interrupts: Interrupt[]
  queue: {
    runId: string
    messageIds: string[]
    /** The first line of what it says. */
    words: string
    /** `steer`: the running turn was given it, and has not taken it in. */
    delivery: 'steer' | 'queue'
  }[]
  usage: Record<string, unknown>[]
  /** Milliseconds since 1970. */
  createdAt: number
  updatedAt: number
  model?: string
  claudeSessionId?: string
  /** Whether a Claude Code process stands ready. */
  warm: boolean
}

/** What the server sends is trusted to be a thread when it names itself. */
export function isThreadDescription(value: unknown): value is ThreadDescription {
  return isObject(value) && typeof value['threadId'] === 'string'
}
