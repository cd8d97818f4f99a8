import type { RunAgentInput } from '@ag-ui/core'
import { z } from 'zod'
import type { AgentSession } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import type { KnownMessages } from './history.ts'
import type { Queue, QueuedRun } from './queue.ts'
import type { ThreadTable } from './thread-table.ts'

const Delivery = z.object({ delivery: z.enum(['queue', 'steer']).optional() }).catch({})

/** What a client wants of a run that meets another one: refused, unless `forwardedProps.delivery` says otherwise. */
export function deliveryOf({ forwardedProps }: RunAgentInput): 'queue' | 'steer' | undefined {
  return Delivery.parse(forwardedProps ?? {}).delivery
}

/** Whether it answers what is asked. That may come under the id of the run that asked: some apps hold a run open for it. */
export function isAnswer({ resume = [] }: RunAgentInput, { interrupts }: AgentSession): boolean {
  return interrupts.some(({ id }) => resume.some(({ interruptId }) => interruptId === id))
}

/** With the messages of the run under way and of the queue, which are not stored as known yet. */
export function knownMessages(
  { threadId, table, queue }: { threadId: string; table: ThreadTable; queue: Queue },
  run: { digests: QueuedRun['digests']; lastUserMessageId?: string | undefined },
): KnownMessages {
  const behind = queue.waiting.filter(({ isSteered }) => !isSteered)
  const underWay = [...run.digests, ...behind.flatMap((waiting) => waiting.digests)]
  const digests = new Map([...underWay, ...queue.waiting.flatMap((waiting) => waiting.digests)])
  return {
    messageDigest: (id) => digests.get(id) ?? table.messageDigest(threadId, id),
    // What was steered in is not told yet: a history without it is whole.
    lastUserMessageId: underWay.at(-1)?.[0] ?? run.lastUserMessageId,
  }
}

export function runExists(runId: string): RunnerError {
  const message = `Run "${runId}" was seen before on this thread; send a new runId, or read it from the thread's events.`
  return new RunnerError('run_exists', message)
}

export function threadBusy(runId: string): RunnerError {
  const message = `Run "${runId}" is under way on this thread; wait for its end, interrupt it, or send forwardedProps.delivery "queue".`
  return new RunnerError('thread_busy', message, { details: { runId } })
}
