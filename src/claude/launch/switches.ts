import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { parseNulls } from '../../absent-null.ts'
import { RunnerError } from '../../errors.ts'
import { isObject } from '../../json.ts'
import type { LaunchOptions } from './sdk-options.ts'
import { budgetProblem, modelNamed, ThinkingTokens, thinkingEnvironment } from './thinking.ts'

/** The switches that a client may set for one run in `forwardedProps.claude` (docs/events.md). */
const Switches = z.strictObject({
  model: z.string().min(1).optional(),
  permissionMode: z.enum(['ask', 'accept-edits', 'never-ask', 'plan']).optional(),
  maxThinkingTokens: ThinkingTokens.optional(),
  maxTurns: z.number().int().min(1).optional(),
  maxCostUsd: z.number().positive().optional(),
  /** JSON Schema that the run's `result` then fits. */
  outputSchema: z.record(z.string(), z.unknown()).optional(),
})
export type Switches = z.infer<typeof Switches>

/** The values for a run that sets no others. */
interface Defaults extends Pick<LaunchOptions, 'model' | 'permissionMode' | 'overrides'> {
  env: Record<string, string>
}

/**
 * Returns the switches of a run, with the runner's own model and thinking budget where the run sets none.
 *
 * @throws {RunnerError} `invalid_input` naming the switch that is wrong or would change nothing;
 * `policy_not_enforced` for `never-ask` where the runner itself does not use it.
 */
export function parseSwitches(forwardedProps: unknown, defaults: Defaults): Switches {
  const { model, overrides, env } = defaults
  const given = readSwitches(forwardedProps, defaults)
  const whole = { model, maxThinkingTokens: overrides.maxThinkingTokens, ...given }
  const problem = budgetProblem(given.maxThinkingTokens, modelNamed(whole.model, env))
  if (problem !== undefined)
    throw new RunnerError('invalid_input', `forwardedProps.claude.maxThinkingTokens: ${problem}.`)
  return whole
}

function readSwitches(forwardedProps: unknown, { permissionMode }: Defaults): Switches {
  const given = givenIn(forwardedProps)
  if (given === undefined || given === null) return {}
  const parsed = parseNulls(Switches, given)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `forwardedProps.claude.${issue.path.map(String).join('.')}: ${issue.message}`,
    )
    throw new RunnerError('invalid_input', `${problems.join('; ')}.`, { details: problems })
  }
  if (parsed.data.permissionMode === 'never-ask' && permissionMode !== 'never-ask') {
    throw new RunnerError(
      'policy_not_enforced',
      'forwardedProps.claude.permissionMode: "never-ask" is not permitted on this runner; nothing holds the tools to the policy.',
    )
  }
  return parsed.data
}

/**
 * Checks the switches of a run that continues a turn.
 *
 * @throws {RunnerError} `invalid_input` when a switch differs from the turn's.
 */
export function checkSame(forwardedProps: unknown, begun: Switches): void {
  const had = new Map<string, unknown>(Object.entries(begun))
  const other = Object.entries(givenIn(forwardedProps) ?? {}).find(
    ([name, value]) => value !== null && JSON.stringify(had.get(name)) !== JSON.stringify(value),
  )
  if (other === undefined) return
  const message = `forwardedProps.claude.${other[0]}: this run goes on with a turn that began with another value; leave it out.`
  throw new RunnerError('invalid_input', message)
}

/** Returns the switches that Claude Code accepts only at its start. Another value needs a new process, with resume. */
export function startSwitches(switches: Switches): Options {
  const { maxTurns, maxCostUsd, outputSchema } = switches
  return {
    ...(maxTurns === undefined ? {} : { maxTurns }),
    ...(maxCostUsd === undefined ? {} : { maxBudgetUsd: maxCostUsd }),
    ...(outputSchema === undefined ? {} : { outputFormat: { type: 'json_schema', schema: outputSchema } }),
  }
}

/** Returns the environment variables that the switches require. */
export function switchEnvironment({ maxThinkingTokens }: Switches): Record<string, string> {
  return thinkingEnvironment(maxThinkingTokens)
}

const SDK_MODES = {
  ask: 'default',
  'accept-edits': 'acceptEdits',
  'never-ask': 'bypassPermissions',
  plan: 'plan',
} as const

/** Returns Claude Code's name of a permission mode. */
export function toSdkMode(mode: keyof typeof SDK_MODES): (typeof SDK_MODES)[keyof typeof SDK_MODES] {
  return SDK_MODES[mode]
}

function givenIn(forwardedProps: unknown): unknown {
  return isObject(forwardedProps) ? forwardedProps['claude'] : undefined
}
