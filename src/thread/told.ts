import type { Interrupt, Message, TokenUsage } from '@ag-ui/core'
import type { AgentDescription } from '../agent/agent.ts'

export type ThreadState = 'idle' | 'running' | 'interrupted' | 'failed'

export function stateOf(thread: {
  isRunning: boolean
  interrupts: readonly unknown[]
  lastOutcome: string
}): ThreadState {
  if (thread.isRunning) return 'running'
  if (thread.interrupts.length > 0) return 'interrupted'
  return thread.lastOutcome === 'error' ? 'failed' : 'idle'
}

export interface ThreadDescription extends AgentDescription {
  threadId: string
  state: ThreadState
  lastSeq: number
  runId?: string
  /** What waits for a person. */
  interrupts: readonly Interrupt[]
  /** Runs that wait. */
  queue: { runId: string; messageIds: string[] }[]
  /** All runs together, one entry per provider and model. */
  usage: TokenUsage[]
  createdAt: number
  updatedAt: number
}

/** What a submitted run is read by: the run's own records behind `after`, up to its terminal event. */
export interface Submitted {
  runId: string
  after: number
  /** The run under way that took the messages in its turn; this one then has no records of its own. */
  steeredInto?: string
  /** What of the sender's history is the thread's, when it lacks turns that the thread has had. */
  held?: Message[]
}

/** What became of a message that was put into a thread. */
export interface Accepted {
  messageId: string
  /** `run`: a run of its own has started; `queue`: it will; `steer`: the running turn gets it at its next step. */
  delivery: 'run' | 'queue' | 'steer'
  runId?: string
}
