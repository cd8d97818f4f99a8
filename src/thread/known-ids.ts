import type { RunAgentInput } from '@ag-ui/core'
import type { AgentSession } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import type { KnownMessages } from './history.ts'
import type { QueuedRun, Waiting } from './queue.ts'
import type { LookedUp, ThreadFacts } from './thread-table.ts'

/** The runs and messages that a thread knows: the stored ones, and the running and queued ones, which are not stored yet. */
export interface KnownIds {
  lookedUp: LookedUp
  underWay: { runId: string; digests: QueuedRun['digests'] } | undefined
  waiting: readonly Waiting[]
  stored: Pick<ThreadFacts, 'lastUserMessageId' | 'lastRunId' | 'lastOutcome'>
}

/**
 * Refuses a known run id. An answer to an interrupt may reuse the id of the run that asked, as some apps do.
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

/** Whether the input answers an open interrupt. */
function isAnswer({ resume = [] }: RunAgentInput, { interrupts }: AgentSession): boolean {
  return interrupts.some(({ id }) => resume.some(({ interruptId }) => interruptId === id))
}

export function knownMessages(known: KnownIds): KnownMessages {
  const behind = known.waiting.filter(({ isSteered, isWithdrawn }) => !isSteered && !isWithdrawn)
  const underWay = [known.underWay, ...behind].flatMap((run) => run?.digests ?? [])
  const digests = new Map([...underWay, ...known.waiting.flatMap((waiting) => waiting.digests)])
  return {
    messageDigest: (id) => digests.get(id) ?? known.lookedUp.messages.get(id)?.said,
    messageTurn: (id) => (digests.has(id) ? undefined : known.lookedUp.messages.get(id)?.by),
    // Steered messages are not in the log yet, so a history without them is whole.
    lastUserMessageId: underWay.at(-1)?.[0] ?? known.lookedUp.newestId ?? known.stored.lastUserMessageId,
    hasRun: known.stored.lastOutcome !== 'none',
    heard: known.lookedUp.heard,
  }
}
