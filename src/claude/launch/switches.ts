import type { Options } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import { RunnerError } from '../../errors.ts'
import type { PermissionMode } from './sdk-options.ts'

/** `forwardedProps.claude`: what a client may set for one run (docs/events.md). */
const Switches = z.strictObject({
  model: z.string().min(1).optional(),
  permissionMode: z.enum(['ask', 'accept-edits', 'never-ask', 'plan']).optional(),
  /** Tokens; 0 switches thinking off. */
  maxThinkingTokens: z.number().int().min(0).optional(),
  maxTurns: z.number().int().min(1).optional(),
  maxCostUsd: z.number().positive().optional(),
  /** JSON Schema; the run's `result` is then of that shape. */
  outputSchema: z.record(z.string(), z.unknown()).optional(),
})
export type Switches = z.infer<typeof Switches>

/**
 * @throws {RunnerError} `invalid_input` naming the wrong switch; `policy_not_enforced` for `never-ask` where the
 * runner itself would not be allowed it.
 */
export function parseSwitches(forwardedProps: unknown, own: PermissionMode): Switches {
  const given = isRecord(forwardedProps) ? forwardedProps['claude'] : undefined
  if (given === undefined || given === null) return {}
  const parsed = Switches.safeParse(given)
  if (!parsed.success) {
    const problems = parsed.error.issues.map(
      (issue) => `forwardedProps.claude.${issue.path.map(String).join('.')}: ${issue.message}`,
    )
    throw new RunnerError('invalid_input', `${problems.join('; ')}.`, { details: problems })
  }
  if (parsed.data.permissionMode === 'never-ask' && own !== 'never-ask') {
    throw new RunnerError(
      'policy_not_enforced',
      'forwardedProps.claude.permissionMode: "never-ask" is not permitted on this runner; nothing holds the tools to the policy.',
    )
  }
  return parsed.data
}

/** The switches that Claude Code takes only at its start. Another value needs another process, with resume. */
export function startSwitches(switches: Switches): Options {
  const { maxTurns, maxCostUsd, outputSchema } = switches
  return {
    ...(maxTurns === undefined ? {} : { maxTurns }),
    ...(maxCostUsd === undefined ? {} : { maxBudgetUsd: maxCostUsd }),
    ...(outputSchema === undefined ? {} : { outputFormat: { type: 'json_schema', schema: outputSchema } }),
  }
}

/**
 * What the environment of a process must say for the switches. Of the models only those with a budget heed the control
 * request for 0 tokens; the ones that think adaptively heed this variable alone (measured on the request to the model,
 * 2.1.332).
 */
export function switchEnvironment({ maxThinkingTokens }: Switches): Record<string, string> {
  return maxThinkingTokens === 0 ? { CLAUDE_CODE_DISABLE_THINKING: '1' } : {}
}

const SDK_MODES = {
  ask: 'default',
  'accept-edits': 'acceptEdits',
  'never-ask': 'bypassPermissions',
  plan: 'plan',
} as const

/** Our name of a permission mode as Claude Code's. */
export function toSdkMode(mode: keyof typeof SDK_MODES): (typeof SDK_MODES)[keyof typeof SDK_MODES] {
  return SDK_MODES[mode]
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null
}
