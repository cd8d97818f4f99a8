import type { Config, Env } from '../config.ts'
import { findClaude } from '../model-route/route.ts'
import type { Enforcement } from '../sandbox/enforcement.ts'
import { shortfallOf } from '../sandbox/report.ts'
import { startEnforcement } from '../sandbox/start.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Said } from './checks.ts'

/** Starts the enforcement. @throws {RunnerError} `policy_invalid`; `policy_not_enforced` under `required`. */
export function openEnforcement(
  { config, env, logger }: { config: Config; env: Env; logger: Logger },
  modelUrl: string | undefined,
  signal: AbortSignal,
): Promise<Enforcement> {
  const { wrappersDirectory, policyEnforcement, policyFile, workspace, stateDirectory, logFile } = config
  return startEnforcement({
    mode: policyEnforcement,
    policyFile,
    workspace,
    stateDirectory,
    logFile,
    wrappersDirectory,
    env,
    claudeState: config.claudeState,
    modelUrl,
    findClaude: () => findClaude({ env, wrappersDirectory, signal }),
    logger,
  })
}

/**
 * Reports how the policy is enforced. An unmet `required` fails the start already, so this fails only when a process
 * could not be started under the policy.
 *
 * @throws {Error} with the reason why the process could not be started.
 */
export function checkEnforcement({ report, problem }: Enforcement): Said {
  if (problem !== undefined) {
    throw new Error(
      `Claude Code could not be started under the policy: ${problem}. The next process that starts clears this.`,
    )
  }
  return { says: shortfallOf(report) ?? `enforced by ${report.backend}` }
}
