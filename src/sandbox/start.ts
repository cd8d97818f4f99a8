import { realpathSync } from 'node:fs'
import { RunnerError } from '../errors.ts'
import { loadPolicy } from '../policy/read/load.ts'
import { PolicyError } from '../policy/read/policy-error.ts'
import type { Policy } from '../policy/read/schema.ts'
import { createEnforcement, type Enforcement } from './enforcement.ts'
import { gapsOf, shortfallOf } from './report.ts'

export interface EnforcementStart {
  mode: 'auto' | 'required' | 'off'
  policyFile: string
  env: Readonly<Record<string, string | undefined>>
  workspace: string
  stateDirectory: string
  claudeState: string
  wrappersDirectory: string
  logFile: string
  /** Base URL of the model route; undefined when there is none. */
  modelUrl: string | undefined
  /** Returns the path of Claude Code; rejects when it is not installed. */
  findClaude(): Promise<string>
  logger: { info(facts: object, text: string): void; warn(facts: object, text: string): void }
}

/** Policy that stands in when no policy file is read. */
const NOTHING_ALLOWED: Policy = {
  version: 1,
  filesystem_policy: undefined,
  landlock: undefined,
  process: undefined,
  network_policies: {},
  network_middlewares: {},
}

/**
 * Starts the enforcement of one runner and logs what is enforced and what is not.
 *
 * @throws {RunnerError} `policy_invalid`; `policy_not_enforced` under `required`.
 */
export async function startEnforcement(start: EnforcementStart): Promise<Enforcement> {
  const { mode, env, logger, stateDirectory, policyFile, logFile } = start
  const isLocal = mode !== 'off' && env['OPENSHELL_SANDBOX'] !== '1' && !env['AGUI_LAUNCH']
  const network = isLocal ? (await import('./open-bwrap.ts')).openEarly() : undefined
  const [policy, claude] = await Promise.all([
    // An image with an invalid policy loses its network silently, so the policy is read even where OpenShell enforces.
    mode === 'off'
      ? undefined
      : loadPolicy(policyFile).catch(async (error: unknown) => {
          await network?.then(
            (opened) => opened.close(),
            () => undefined,
          )
          throw asInvalid(error)
        }),
    // Needed for its mount inside. The start of Claude Code itself reports a missing binary.
    isLocal
      ? start.findClaude().then(
          (path) => realpathSync(path),
          () => undefined,
        )
      : undefined,
  ])
  const enforcement = await createEnforcement({
    policy: policy ?? NOTHING_ALLOWED,
    mode,
    env,
    places: {
      workspace: start.workspace,
      state: stateDirectory,
      claudeState: start.claudeState,
      wrappers: start.wrappersDirectory,
      claude,
      hidden: [...new Set([stateDirectory, realpathSync(stateDirectory), logFile])],
      frozen: [policyFile],
    },
    modelUrl: start.modelUrl,
    network,
    onSetAside: (renamed) => logger.warn({ renamed }, 'what git would have executed here was set aside'),
  })
  const { report } = enforcement
  const shortfall = shortfallOf(report)
  const facts = { backend: report.backend, skipped: report.paths.skipped, unsupported: report.unsupported }
  if (shortfall === undefined) logger.info(facts, 'policy enforcement')
  else if (mode === 'off') logger.info(facts, shortfall)
  // The line already holds a reason that all parts share; several reasons are listed.
  else logger.warn(report.backend === 'none' ? facts : { ...facts, notEnforced: gapsOf(report) }, shortfall)
  return enforcement
}

/** Turns a PolicyError into the runner's `policy_invalid`; returns other errors unchanged. */
function asInvalid(error: unknown): unknown {
  if (!(error instanceof PolicyError)) return error
  return new RunnerError('policy_invalid', error.message, { cause: error, details: error.problems })
}
