import { z } from 'zod'

const tokens = z.number().int().nonnegative().catch(0)

/**
 * The report of the runner in the container. The agent's user owns that process and could make it report anything, so
 * the report's shape is checked before it is shown.
 */
export const ForeignReport = z.object({
  outcome: z.enum(['success', 'error', 'cancelled', 'interrupt']).catch('error'),
  text: z.string().catch(''),
  error: z
    .object({ code: z.string().regex(/^\w{1,64}$/), message: z.string() })
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
