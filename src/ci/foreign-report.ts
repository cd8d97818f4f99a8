import { z } from 'zod'

const tokens = z.number().int().nonnegative().catch(0)

/**
 * What the runner in the container said of its run. It is of the agent's user, which could make it say anything: so its
 * shapes are looked at before they are shown.
 */
export const ForeignReport = z.object({
  outcome: z.enum(['success', 'error', 'cancelled', 'interrupt']).catch('error'),
  text: z.string().catch(''),
  error: z
    .object({ code: z.string(), message: z.string() })
    .optional()
    .catch({ code: 'internal', message: 'The run failed in a form that nobody knows.' }),
  reason: z.string().catch(''),
  usage: z
    .array(
      z.object({ model: z.string().optional().catch(undefined), inputTokens: tokens, outputTokens: tokens }),
    )
    .catch([]),
})
export type ForeignReport = z.infer<typeof ForeignReport>
