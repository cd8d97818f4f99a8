import type { Interrupt, Message, TokenUsage } from '@ag-ui/core'
import type { AgentDescription, AgentView } from '../agent/agent.ts'
import type { ThreadFacts } from './thread-table.ts'

export type ThreadState = 'idle' | 'running' | 'interrupted' | 'failed'

/** A run that waits. */
interface Waits {
  runId: string
  messageIds: string[]
  /** The first line of what it says, without secrets. */
  words: string
  /** `steer`: the running turn was given it, and has not taken it in. */
  delivery: 'steer' | 'queue'
}

/** A run of the queue; one that was taken out only has its place there. */
interface Queued extends Omit<Waits, 'delivery'> {
  isSteered?: boolean
  isWithdrawn: boolean
}

export interface ThreadDescription extends AgentDescription {
  threadId: string
  /** What a person called it, else the first line that a person said in it; without secrets. */
  title?: string
  state: ThreadState
  lastSeq: number
  runId?: string
  /** What waits for a person. */
  interrupts: readonly Interrupt[]
  /** Runs that wait. */
  queue: Waits[]
  /** All runs together, one entry per provider and model. */
  usage: TokenUsage[]
  createdAt: number
  updatedAt: number
}

/** A thread as clients see it. */
export function describeThread(
  threadId: string,
  facts: ThreadFacts,
  now: { agent: AgentView; lastSeq: number; runId: string | undefined; waiting: readonly Queued[] },
): ThreadDescription {
  const { lastOutcome, title, usage, createdAt, updatedAt } = facts
  const { lastSeq, runId, waiting } = now
  const { interrupts, ...agent } = now.agent
  const ended = interrupts.length > 0 ? 'interrupted' : lastOutcome === 'error' ? 'failed' : 'idle'
  return {
    threadId,
    state: runId === undefined ? ended : 'running',
    lastSeq,
    ...(runId === undefined ? {} : { runId }),
    interrupts,
    queue: waiting
      .filter((run) => run.runId !== runId && !run.isWithdrawn)
      .map(({ runId, messageIds, words, isSteered = false }) => ({
        runId,
        messageIds,
        words,
        delivery: isSteered ? 'steer' : 'queue',
      })),
    ...(title === undefined ? {} : { title }),
    usage,
    createdAt,
    updatedAt,
    ...agent,
  }
}

/** The run under way that took a run's messages into its turn. */
export interface Taken {
  steeredInto: string
  /** What else came with them and is not given to the model, in words. */
  skipped: string[]
}

/** What a submitted run is read by: the run's own records behind `after`, up to its terminal event. A steered one has none. */
export interface Submitted extends Partial<Taken> {
  runId: string
  after: number
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
