import type { Interrupt, TokenUsage } from '@ag-ui/core'
import type { AgentDescription, AgentView, ContextUse, RunEnd } from '../agent/agent.ts'
import type { ThreadFacts } from './thread-table.ts'

export type ThreadState = 'idle' | 'running' | 'interrupted' | 'failed'

/** A queued run. */
interface Waits {
  runId: string
  messageIds: string[]
  /** The first line of its messages, redacted. */
  words: string
  /** `steer`: the running turn was given the messages and has not taken them in. */
  delivery: 'steer' | 'queue'
}

/** An entry of the queue. A withdrawn one only keeps its place. */
interface Queued extends Omit<Waits, 'delivery'> {
  isSteered?: boolean
  isWithdrawn: boolean
}

export interface ThreadDescription extends AgentDescription {
  threadId: string
  /** The name that a person gave the thread, else the first line of its first message; redacted. */
  title?: string
  state: ThreadState
  lastSeq: number
  runId?: string
  /** The open interrupts. */
  interrupts: readonly Interrupt[]
  /** The queued runs. */
  queue: Waits[]
  /** How the last run ended; absent before the first has. */
  lastOutcome?: RunEnd['outcome']
  /** The tokens of all runs, one entry per provider and model. */
  usage: TokenUsage[]
  /** All runs together, in US dollars. */
  costUsd?: number
  context?: ContextUse
  createdAt: number
  updatedAt: number
}

/** Returns a thread as clients see it. */
export function describeThread(
  threadId: string,
  facts: ThreadFacts,
  now: { agent: AgentView; lastSeq: number; runId: string | undefined; waiting: readonly Queued[] },
): ThreadDescription {
  const { lastOutcome, title, usage, costUsd, context, createdAt, updatedAt } = facts
  const { lastSeq, runId, waiting } = now
  const { interrupts, ...agent } = now.agent
  const ended = interrupts.length > 0 ? 'interrupted' : lastOutcome === 'error' ? 'failed' : 'idle'
  return {
    threadId,
    state: runId === undefined ? ended : 'running',
    lastSeq,
    ...(runId === undefined ? {} : { runId }),
    // A run under way has their answers: nothing waits for a person before it has ended.
    interrupts: runId === undefined ? interrupts : [],
    queue: waiting
      .filter((run) => run.runId !== runId && !run.isWithdrawn)
      .map(({ runId, messageIds, words, isSteered = false }) => ({
        runId,
        messageIds,
        words,
        delivery: isSteered ? 'steer' : 'queue',
      })),
    ...(title === undefined ? {} : { title }),
    ...(lastOutcome === 'none' ? {} : { lastOutcome }),
    usage,
    ...(costUsd === undefined ? {} : { costUsd }),
    ...(context === undefined ? {} : { context }),
    createdAt,
    updatedAt,
    ...agent,
  }
}
