import type { RunAgentInput } from '@ag-ui/core'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'

const Delivery = z.object({ delivery: z.enum(['queue', 'steer']).optional() }).catch({})

/** What a client wants of a run that meets another one: refused, unless `forwardedProps.delivery` says otherwise. */
export function deliveryOf({ forwardedProps }: RunAgentInput): 'queue' | 'steer' | undefined {
  return Delivery.parse(forwardedProps ?? {}).delivery
}

export function threadBusy(runId: string): RunnerError {
  const message = `Run "${runId}" is under way on this thread; wait for its end, interrupt it, or send forwardedProps.delivery "queue".`
  return new RunnerError('thread_busy', message, { details: { runId } })
}
