import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import { refusalOf } from './builtin-tools.ts'
import { budgetProblem, modelNamed, ThinkingTokens, takesEffort } from './thinking.ts'

/**
 * What `SDK_OPTIONS` may set of the Agent SDK's options. Everything else is refused: where Claude Code runs, what it
 * may do, which settings, hooks and servers it loads and which session it has are the runner's to say.
 */
const Overrides = z.strictObject({
  model: z.string().optional(),
  fallbackModel: z.string().optional(),
  maxTurns: z.number().int().min(1).optional(),
  maxBudgetUsd: z.number().positive().optional(),
  maxThinkingTokens: ThinkingTokens.optional(),
  effort: z.enum(['low', 'medium', 'high', 'xhigh', 'max']).optional(),
  allowedTools: z
    .array(
      z.string().refine((rule) => refusalOf(rule) === undefined, {
        error: ({ input }) => `${input} is not offered here, because ${refusalOf(String(input))}`,
      }),
    )
    .optional(),
  disallowedTools: z.array(z.string()).optional(),
  /** Added to Claude Code's own system prompt. */
  appendSystemPrompt: z.string().optional(),
})
export type SdkOverrides = {
  [Key in keyof z.infer<typeof Overrides>]?: Exclude<z.infer<typeof Overrides>[Key], undefined>
}

/** Where the options are to hold. */
interface OverridesPlace {
  /** Goes before the one in the options. */
  model: string | undefined
  env: Record<string, string>
}

/** @throws {RunnerError} `config_invalid` naming what is wrong, may not be set that way or would change nothing. */
export function parseSdkOverrides(text: string | undefined, place: OverridesPlace): SdkOverrides {
  if (text === undefined) return {}
  const parsed = Overrides.safeParse(parseJson(text))
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) =>
      issue.code === 'unrecognized_keys'
        ? `${issue.keys.join(', ')} may not be set that way`
        : `${issue.path.map(String).join('.') || 'the whole'}: ${issue.message}`,
    )
    const allowed = Object.keys(Overrides.shape).join(', ')
    throw new RunnerError(
      'config_invalid',
      `SDK_OPTIONS: ${problems.join('; ')}. It is a JSON object of: ${allowed}.`,
    )
  }
  // JSON has no `undefined`, which zod's types allow for.
  const overrides = parsed.data as SdkOverrides
  checkEffect(overrides, modelNamed(place.model ?? overrides.model, place.env))
  return overrides
}

function checkEffect({ maxThinkingTokens, effort }: SdkOverrides, model: string | undefined): void {
  const budget = budgetProblem(maxThinkingTokens, model)
  if (budget !== undefined)
    throw new RunnerError('config_invalid', `SDK_OPTIONS: maxThinkingTokens: ${budget}.`)
  if (effort !== undefined && !takesEffort(model))
    throw new RunnerError('config_invalid', `SDK_OPTIONS: effort has no effect: ${model} has none.`)
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
