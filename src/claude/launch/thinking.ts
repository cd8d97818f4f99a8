import { z } from 'zod'

/** The smallest budget, in tokens. Claude Code raises a smaller one to this. */
const BUDGET_TOKENS_MIN = 1024

/** Budget for the thinking in one answer, in tokens. 0 switches thinking off. */
export const ThinkingTokens = z
  .int()
  .min(0)
  .refine((tokens) => tokens === 0 || tokens >= BUDGET_TOKENS_MIN, {
    error: `0 for no thinking, or at least ${BUDGET_TOKENS_MIN}`,
  })

/**
 * Models of the fourth generation, with their minor version; the eight digits of a date are not one. Claude Code uses
 * its newest Opus in place of Opus 4.0 and 4.1.
 */
const FOURTH = /(opus|sonnet|haiku)-4(?:[-.](\d{1,2})(?!\d))?/i
const THIRD = /claude-3-/i
const ALIAS = /^(?:opus|sonnet|haiku)$/i

/**
 * Returns the model that Claude Code uses for a name. Without a name, or for an alias, the environment may define it.
 */
export function modelNamed(name: string | undefined, env: Record<string, string>): string | undefined {
  const chosen = name ?? env['ANTHROPIC_MODEL']
  if (chosen === undefined || !ALIAS.test(chosen)) return chosen
  return env[`ANTHROPIC_DEFAULT_${chosen.toUpperCase()}_MODEL`] ?? chosen
}

/**
 * Returns why a budget would change nothing. Undefined when it has an effect. Claude Code sends a budget to models from
 * 4.0 to 4.6. Newer and unknown models decide by themselves, whatever the budget (measured on the requests of 2.1.332).
 */
export function budgetProblem(tokens: number | undefined, model: string | undefined): string | undefined {
  if (tokens === undefined || tokens === 0 || takesBudget(model)) return undefined
  const who = model ?? "Claude Code's default model"
  const why = THIRD.test(who) ? 'does not think' : 'decides by itself how much it thinks'
  return `a budget has no effect: ${who} ${why}; leave it out, give 0, or name a model that has one, such as claude-sonnet-4-6`
}

function takesBudget(model = ''): boolean {
  const [, family = '', minor = '0'] = FOURTH.exec(model) ?? []
  if (family === '') return false
  return /opus/i.test(family) ? ['5', '6'].includes(minor) : ['0', '5', '6'].includes(minor)
}

/** Whether Claude Code sends the model an effort (2.1.332). */
export function takesEffort(model = ''): boolean {
  const [, family = '', minor = '0'] = FOURTH.exec(model) ?? []
  if (family === '') return !THIRD.test(model)
  return /opus/i.test(family) || !['0', '5'].includes(minor)
}

/**
 * Returns the environment variables that a budget requires. Models that decide by themselves turn thinking off only by
 * CLAUDE_CODE_DISABLE_THINKING. 4.6 respects a budget only when adaptive thinking is disabled (2.1.332).
 */
export function thinkingEnvironment(tokens: number | undefined): Record<string, string> {
  if (tokens === undefined) return {}
  return tokens === 0
    ? { CLAUDE_CODE_DISABLE_THINKING: '1' }
    : { CLAUDE_CODE_DISABLE_THINKING: '0', CLAUDE_CODE_DISABLE_ADAPTIVE_THINKING: '1' }
}
