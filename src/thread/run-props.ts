import type { RunAgentInput } from '@ag-ui/core'
import { z } from 'zod'
import { parseNulls } from '../absent-null.ts'
import { RunnerError } from '../errors.ts'

/** The members of `forwardedProps` that the runner reads. The others are the application's own. */
const RunProps = z.object({
  /** What to do when another run is in progress. Without it the new run is refused then. */
  delivery: z.enum(['queue', 'steer']).optional(),
  /** What happens to the run when its sender closes the stream. */
  onDisconnect: z.enum(['continue', 'interrupt']).optional(),
  /**
   * The id of the message that the new one replaces. A client that edits under a new id has to name it: its history alone
   * looks like that of a client that lacks another client's turn.
   */
  replaces: z.string().optional(),
})
export type RunProps = z.infer<typeof RunProps>

/** @throws {RunnerError} `invalid_input`. */
export function runPropsOf({ forwardedProps }: Pick<RunAgentInput, 'forwardedProps'>): RunProps {
  if (typeof forwardedProps !== 'object' || forwardedProps === null || Array.isArray(forwardedProps))
    return {}
  const props = parseNulls(RunProps, forwardedProps)
  if (props.success) return props.data
  const problems = props.error.issues.map(
    ({ path, message }) => `forwardedProps.${path.join('.')}: ${message}`,
  )
  throw new RunnerError('invalid_input', `${problems.join('; ')}.`, { details: problems })
}
