import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import { refusalOf } from './builtin-tools.ts'

/**
 * What `SDK_OPTIONS` may set of the Agent SDK's options. Everything else is refused: where Claude Code runs, what it
 * may do, which settings, hooks and servers it loads and which session it has are the runner's to say.
 */
const Overrides = z.strictObject({
  model: z.string().optional(),
  fallbackModel: z.string().optional(),
  maxTurns: z.number().int().min(1).optional(),
  maxBudgetUsd: z.number().positive().optional(),
  maxThinkingTokens: z.number().int().min(0).optional(),
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

/** @throws {RunnerError} `config_invalid` naming what is wrong or may not be set that way. */
export function parseSdkOverrides(text: string | undefined): SdkOverrides {
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
  return parsed.data as SdkOverrides
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
