import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { RunnerError } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import { IMAGE_WORKSPACE, isWithin } from './bwrap/places.ts'
import type { PreparedStart } from './bwrap-sandbox.ts'
import type { EnforcementOptions, UnreachablePaths } from './enforcement-options.ts'
import { type EnforcementReport, gapsOf, launcherReport, uniformReport } from './report.ts'

export interface Enforcement {
  readonly report: EnforcementReport
  /** Where Claude Code's tools keep temporary files, and whose they are; undefined when nothing is changed. */
  readonly inside: { temporary: string; uid: number } | undefined
  /** What the policy keeps from everything inside, with all that is below. */
  readonly denied: UnreachablePaths
  /** Why the last process that was to start could not; undefined when it could. */
  readonly problem: string | undefined
  /**
   * When a run has ended: ends what its commands left running in this process's namespace, which could make more of what
   * `settle` takes away. Returns how many processes that were. Where nothing is enforced they go on.
   */
  endLeftovers(child: ChildProcess): Promise<number>
  /** Then: takes away what was made inside for git to run outside (docs/enforcement.md). */
  settle(): Promise<void>
  /** Connections, requests and messages so far; `audited` passed though the policy does not permit them. */
  readonly counts: { readonly allowed: number; readonly audited: number; readonly denied: number }
  /** Looks at the workspace as it is now, for one process that is to start. */
  prepare(): Promise<PreparedStart>
  /** Idempotent. Processes that still run lose their way out. */
  close(): Promise<void>
}

/**
 * Holds what is started through it to `policy`, as well as this machine can.
 *
 * @throws {RunnerError} `policy_not_enforced` under `required`, naming the parts.
 */
export async function createEnforcement(options: EnforcementOptions): Promise<Enforcement> {
  const denied = deniedPaths(options)
  if (options.env['OPENSHELL_SANDBOX'] === '1') {
    return unchanged(uniformReport('openshell', { state: 'enforced', how: "OpenShell's supervisor" }), denied)
  }
  if (options.mode === 'off') return none('POLICY_ENFORCEMENT=off', denied)
  const launch = options.env['AGUI_LAUNCH']
  const enforcement = launch ? unchanged(launcherReport(launch), denied) : await openLocal(options, denied)
  const gaps = gapsOf(enforcement.report)
  if (options.mode === 'required' && gaps.length > 0) {
    await enforcement.close()
    throw new RunnerError(
      'policy_not_enforced',
      `POLICY_ENFORCEMENT=required, but this machine does not enforce:\n  ${gaps.join('\n  ')}`,
      { details: enforcement.report },
    )
  }
  return enforcement
}

/** Where OpenShell or a launcher enforces, none of it is loaded. */
async function openLocal(options: EnforcementOptions, denied: UnreachablePaths): Promise<Enforcement> {
  const { openBwrap } = await import('./open-bwrap.ts')
  const opened = await openBwrap(options, denied)
  return 'lacking' in opened ? none(opened.lacking, denied) : opened
}

/** By name: the runner's own files, and what the policy lists as readable only. */
function deniedPaths({ policy, places }: EnforcementOptions): UnreachablePaths {
  const { state, frozen, hidden, wrappers } = places
  const { readOnly } = effectiveGrants(policy, IMAGE_WORKSPACE)
  return {
    read: [
      ...new Set([`${state}/store`, `${state}/logs`, ...hidden.filter((path) => !isWithin(state, path))]),
    ],
    write: [...new Set([...readOnly.filter((path) => path !== '/'), ...frozen, wrappers])],
  }
}

function none(why: string, denied: UnreachablePaths): Enforcement {
  return unchanged(uniformReport('none', { state: 'not_enforced', how: 'none', why }), denied)
}

function unchanged(report: EnforcementReport, denied: UnreachablePaths): Enforcement {
  return {
    report,
    denied,
    inside: undefined,
    problem: undefined,
    endLeftovers: () => Promise.resolve(0),
    settle: () => Promise.resolve(),
    counts: { allowed: 0, audited: 0, denied: 0 },
    prepare: async () => ({
      spawn: ({ command, args, cwd, env }) =>
        spawnChild(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] }),
      release: () => undefined,
    }),
    close: () => Promise.resolve(),
  }
}
