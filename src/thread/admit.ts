import type { RunAgentInput, UserMessage } from '@ag-ui/core'
import type { AgentSession, RunRequest } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import { openAnswers, owedResults } from './answers.ts'
import { withShown } from './digests.ts'
import { everyIdOf, type NewMessages, reconcile } from './history.ts'
import { foreignAnswers, historyEdits } from './history-edits.ts'
import { checkNew, type KnownIds, knownMessages } from './known-ids.ts'
import type { QueuedRun } from './queue.ts'
import { runPropsOf } from './run-props.ts'
import { withSteeredId } from './steered-ids.ts'

interface Admitted extends Pick<NewMessages, 'held' | 'back'> {
  queued: QueuedRun
  /** The messages in the form that a running turn takes in; empty when they are not for the running turn. */
  steered: UserMessage[]
}

interface Help {
  agent: AgentSession
  redactor: Redactor
  /** Returns a message with the media that it names by an address of this thread. */
  restore(message: UserMessage): UserMessage
}

/** Returns the ids of the messages in an input. */
export function namedIds(input: RunAgentInput): string[] {
  const { replaces } = runPropsOf(input)
  return everyIdOf(input.messages, replaces === undefined ? [] : [replaces])
}

/**
 * Decides what a run asks of the agent, out of everything that its client has sent. Changes nothing.
 *
 * @throws {RunnerError} `thread_busy`, `run_exists`, `history_conflict`, `interrupt_open`, `regenerate_unsupported`,
 * `invalid_input`.
 */
export function admit(input: RunRequest, known: KnownIds, { agent, redactor, restore }: Help): Admitted {
  checkNew(input, known, agent)
  const { delivery, replaces } = runPropsOf(input)
  const busy = known.underWay?.runId
  if (busy !== undefined && delivery === undefined) throw threadBusy(busy)
  const answers = openAnswers(input.resume, { agent, redactor, isRunning: busy !== undefined })
  const { resume } = answers
  const { results, ...surplus } = owedResults(input.messages, agent)
  const held = knownMessages(known)
  const { replies } = known.lookedUp
  const inVain = [
    ...answers.skipped,
    ...surplus.skipped,
    ...historyEdits(input.messages, { ...held, replies }),
  ]
  const isAnswered = resume.length + results.length > 0
  const asked = { ...held, isAnswered, skipped: inVain, replaces }
  const { messages: shown, before, digests, ...about } = reconcile(input.messages, asked)
  const skipped = [...inVain, ...foreignAnswers(input.messages, shown[0]?.id, replies)]
  const messages = shown.map(restore)
  // Until the run in progress has ended, the place to go back from is unknown.
  if (about.back !== undefined && busy !== undefined) throw threadBusy(busy)
  const request = { ...input, messages: [...results, ...before, ...messages], resume }
  const isSteering = delivery === 'steer' && results.length + before.length === 0
  agent.check(request, { isSteering: isSteering && busy !== undefined })
  return {
    ...about,
    queued: { request, digests: withShown(digests, messages), skipped },
    steered: isSteering ? messages.map(withSteeredId) : [],
  }
}

function threadBusy(runId: string): RunnerError {
  const message = `Run "${runId}" is under way on this thread; wait for its end, interrupt it, or send forwardedProps.delivery "queue".`
  return new RunnerError('thread_busy', message, { details: { runId } })
}
