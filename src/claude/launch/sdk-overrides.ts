import { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { RunnerError } from '../../errors.ts'
import { parseJson } from '../../json.ts'
import { ModelName } from '../../model-name.ts'
import { refusalOf } from './builtin-tools.ts'
import { budgetProblem, modelNamed, ThinkingTokens, takesEffort } from './thinking.ts'

/** Separates the common part of a prompt from the changing one: a hint for caches, not a part of the prompt. */
const BOUNDARY = '__SYSTEM_PROMPT_DYNAMIC_BOUNDARY__'

const Words = z.union(
  [z.string(), z.array(z.string()).transform((parts) => joined(parts.filter((part) => part !== BOUNDARY)))],
  'must be a text, or a list of texts',
)

/** A whole system prompt, or text to append to Claude Code's own. Both have this name in Python's SDK. */
const SystemPrompt = z.union(
  [
    Words,
    z.looseObject({ type: z.literal('custom'), prompt: Words }).transform(({ prompt }) => prompt),
    z
      .looseObject({ type: z.literal('preset').optional(), append: z.string().default('') })
      .transform(({ append }) => append),
  ],
  'must be a text, {"type": "preset", "append": …} or {"type": "custom", "prompt": …}',
)

/**
 * The options of the Agent SDK that `SDK_OPTIONS` may set, under their TypeScript or Python names. Every other key is
 * left out and reported, not refused: a control plane's agent is written for other runners too. The runner itself
 * decides where Claude Code runs, what it may do, which settings, hooks and servers it loads, and its session.
 */
const Overrides = z.object({
  model: ModelName.optional(),
  fallbackModel: ModelName.optional(),
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
  /**
   * Added as well, and not a replacement: Claude Code's own prompt explains its tools. A control plane puts a session's
   * instructions here.
   */
  systemPrompt: SystemPrompt.optional(),
})
export type SdkOverrides = {
  [Key in Exclude<keyof z.infer<typeof Overrides>, 'systemPrompt'>]?: Exclude<
    z.infer<typeof Overrides>[Key],
    undefined
  >
}

/** The model and environment that the options are for. */
interface OverridesPlace {
  /** Model that overrides the one in the options. */
  model: string | undefined
  env: Record<string, string>
}

/**
 * Parses `SDK_OPTIONS`, a JSON object. Returns the keys that are left out as `unknown`.
 *
 * @throws {RunnerError} `config_invalid` naming the option that is wrong or would change nothing.
 */
export function parseSdkOverrides(
  text: string | undefined,
  place: OverridesPlace,
): { overrides: SdkOverrides; unknown: string[] } {
  if (text === undefined) return { overrides: {}, unknown: [] }
  const given = withOneSpelling(parseJson(text))
  const parsed = parseNulls(Overrides, given)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `${issue.path.map(String).join('.') || 'the whole'}: ${issue.message}`,
    )
    throw new RunnerError(
      'config_invalid',
      `SDK_OPTIONS: ${problems.join('; ')}. It is a JSON object of: ${KNOWN.join(', ')}.`,
    )
  }
  const { systemPrompt, ...others } = parsed.data
  const words = joined([systemPrompt, others.appendSystemPrompt])
  const appended = words === '' ? {} : { appendSystemPrompt: words }
  // Parsed JSON contains no `undefined`, which zod's types allow.
  const overrides = { ...others, ...appended } as SdkOverrides
  checkEffect(overrides, modelNamed(place.model ?? overrides.model, place.env))
  return { overrides, unknown: Object.keys(given ?? {}).filter((key) => !KNOWN.includes(key)) }
}

function joined(parts: readonly (string | undefined)[]): string {
  return parts.filter((part) => part !== undefined && part !== '').join('\n\n')
}

const KNOWN: readonly string[] = Object.keys(Overrides.shape)

/** Renames the known options from snake_case to camelCase, such as `max_turns` to `maxTurns`. */
function withOneSpelling(value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, member]) => {
      const camel = key.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
      return [KNOWN.includes(camel) ? camel : key, member]
    }),
  )
}

function checkEffect({ maxThinkingTokens, effort }: SdkOverrides, model: string | undefined): void {
  const budget = budgetProblem(maxThinkingTokens, model)
  if (budget !== undefined)
    throw new RunnerError('config_invalid', `SDK_OPTIONS: maxThinkingTokens: ${budget}.`)
  if (effort !== undefined && !takesEffort(model))
    throw new RunnerError('config_invalid', `SDK_OPTIONS: effort has no effect: ${model} has none.`)
}
