import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { RunnerError } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import { IMAGE_WORKSPACE, isWithin } from './bwrap/places.ts'
import type { PreparedStart } from './bwrap-sandbox.ts'
import type { EnforcementOptions, UnreachablePaths } from './enforcement-options.ts'
import { type EnforcementReport, gapsOf, launcherReport, uniformReport } from './report.ts'

export interface Enforcement {
  readonly report: EnforcementReport
  /** Folder for temporary files inside, and the uid that owns it; undefined when the runner itself confines nothing. */
  readonly inside: { temporary: string; uid: number } | undefined
  /** Paths that the policy and the runner keep from Claude Code, each with everything below it. */
  readonly denied: UnreachablePaths
  /** Why the last process could not be started; undefined when it was started. */
  readonly problem: string | undefined
  /**
   * Ends the processes that a run's commands left in the namespace of `child`: they could make more of what `settle`
   * removes. Call when a run has ended. Returns the number of ended processes; 0 where the runner confines nothing.
   */
  endLeftovers(child: ChildProcess): Promise<number>
  /** Sets aside what was made inside for git to run outside (docs/enforcement.md). Call after `endLeftovers`. */
  settle(): Promise<void>
  /** Connections, requests and messages so far; `audited` ones passed although the policy does not permit them. */
  readonly counts: { readonly allowed: number; readonly audited: number; readonly denied: number }
  /** Examines the workspace as it is now and prepares the start of one process. */
  prepare(): Promise<PreparedStart>
  /** Ends the enforcement. Safe to call twice. Processes that still run lose their network. */
  close(): Promise<void>
}

/**
 * Creates the enforcement of the policy for every process started through it, as far as this machine can enforce it.
 *
 * @throws {RunnerError} `policy_not_enforced` under `required`, naming the parts that are not enforced.
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

/** Loads the bubblewrap backend. Its modules stay unloaded where OpenShell or a launcher enforces. */
async function openLocal(options: EnforcementOptions, denied: UnreachablePaths): Promise<Enforcement> {
  const { openBwrap } = await import('./open-bwrap.ts')
  const opened = await openBwrap(options, denied)
  return 'lacking' in opened ? none(opened.lacking, denied) : opened
}

/** Returns the runner's own files, and the paths that the policy lists as read-only. */
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
