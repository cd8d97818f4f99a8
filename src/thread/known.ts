import type { RunAgentInput } from '@ag-ui/core'
import type { AgentSession } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import { isAnswer } from './admission.ts'
import type { KnownMessages } from './history.ts'
import type { QueuedRun, Waiting } from './queue.ts'
import type { LookedUp, ThreadFacts } from './thread-table.ts'

/** What a thread knows of runs and messages: what is stored, and what runs and waits, which is not stored as known yet. */
export interface KnownIds {
  lookedUp: LookedUp
  underWay: { runId: string; digests: QueuedRun['digests'] } | undefined
  waiting: readonly Waiting[]
  stored: Pick<ThreadFacts, 'lastUserMessageId' | 'lastRunId'>
}

/**
 * An answer to what is asked may come under the id of the run that asked: some apps hold a run open for it.
 *
 * @throws {RunnerError} `run_exists`.
 */
export function checkNew(
  input: RunAgentInput,
  { lookedUp, underWay, waiting, stored }: KnownIds,
  agent: AgentSession,
): void {
  const { runId } = input
  const isKnown =
    lookedUp.hasRun || underWay?.runId === runId || waiting.some((entry) => entry.runId === runId)
  if (!isKnown) return
  if (underWay === undefined && stored.lastRunId === runId && isAnswer(input, agent)) return
  const message = `Run "${runId}" was seen before on this thread; send a new runId, or read it from the thread's events.`
  throw new RunnerError('run_exists', message)
}

export function knownMessages(known: KnownIds): KnownMessages {
  const behind = known.waiting.filter(({ isSteered, isWithdrawn }) => !isSteered && !isWithdrawn)
  const underWay = [known.underWay, ...behind].flatMap((run) => run?.digests ?? [])
  const digests = new Map([...underWay, ...known.waiting.flatMap((waiting) => waiting.digests)])
  return {
    messageDigest: (id) => digests.get(id) ?? known.lookedUp.messages.get(id)?.said,
    messageTurn: (id) => (digests.has(id) ? undefined : known.lookedUp.messages.get(id)?.by),
    // What was steered in is not in the log yet: a history without it is whole.
    lastUserMessageId: underWay.at(-1)?.[0] ?? known.stored.lastUserMessageId,
  }
}
