import type { RunAgentInput } from '@ag-ui/core'
import { z } from 'zod'
import type { AgentSession } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'

const Delivery = z.object({ delivery: z.enum(['queue', 'steer']).optional() }).catch({})

/** What a client wants of a run that meets another one: refused, unless `forwardedProps.delivery` says otherwise. */
export function deliveryOf({ forwardedProps }: RunAgentInput): 'queue' | 'steer' | undefined {
  return Delivery.parse(forwardedProps ?? {}).delivery
}

const Replacing = z.preprocess((props) => props ?? {}, z.looseObject({ replaces: z.string().optional() }))

/**
 * The message in whose stead the new one stands: a client that edits under a new id says so, since its history is that of a
 * client that lacks another one's turn.
 *
 * @throws {RunnerError} `invalid_input`.
 */
export function replacedBy({ forwardedProps }: RunAgentInput): string | undefined {
  if (typeof forwardedProps !== 'object') return undefined
  const props = Replacing.safeParse(forwardedProps)
  if (!props.success)
    throw new RunnerError('invalid_input', 'forwardedProps.replaces has to be the id of a message.')
  return props.data.replaces
}

/** Whether it answers what is asked. */
export function isAnswer({ resume = [] }: RunAgentInput, { interrupts }: AgentSession): boolean {
  return interrupts.some(({ id }) => resume.some(({ interruptId }) => interruptId === id))
}

export function threadBusy(runId: string): RunnerError {
  const message = `Run "${runId}" is under way on this thread; wait for its end, interrupt it, or send forwardedProps.delivery "queue".`
  return new RunnerError('thread_busy', message, { details: { runId } })
}
