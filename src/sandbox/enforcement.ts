import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { RunnerError } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import { IMAGE_WORKSPACE, isWithin } from './bwrap/places.ts'
import type { SpawnRequest } from './bwrap-sandbox.ts'
import type { BwrapOptions } from './open-bwrap.ts'
import { type EnforcementReport, gapsOf, uniformReport } from './report.ts'

interface DeniedPaths {
  read: readonly string[]
  write: readonly string[]
}

export interface Enforcement {
  readonly report: EnforcementReport
  /** Where Claude Code's tools keep temporary files, and whose they are; undefined when nothing is changed. */
  readonly inside: { temporary: string; uid: number } | undefined
  /** What the policy keeps from everything inside, with all that is below. */
  readonly denied: DeniedPaths
  /** Why the last process that was to start could not; undefined when it could. */
  readonly problem: string | undefined
  /**
   * When a run has ended: ends what its commands left running in this process's namespace, which could make more of what
   * `settle` takes away. Returns how many processes that were. Where nothing is enforced they go on.
   */
  endLeftovers(child: ChildProcess): Promise<number>
  /** Then: takes away what was made inside for git to run outside (docs/enforcement.md). */
  settle(): void
  /** Connections, requests and messages so far; `audited` passed though the policy does not permit them. */
  readonly counts: { readonly allowed: number; readonly audited: number; readonly denied: number }
  /** In the place of child_process.spawn: piped stdio, a process group of its own. */
  spawn(request: SpawnRequest): ChildProcess
  /** Idempotent. Processes that still run lose their way out. */
  close(): Promise<void>
}

export interface EnforcementOptions extends BwrapOptions {
  mode: 'auto' | 'required' | 'off'
}

/**
 * Holds what is spawned through it to `policy`, as well as this machine can.
 *
 * @throws {RunnerError} `policy_not_enforced` under `required`, naming the parts.
 */
export async function createEnforcement(options: EnforcementOptions): Promise<Enforcement> {
  const denied = deniedPaths(options)
  if (options.env['OPENSHELL_SANDBOX'] === '1') {
    return unchanged(uniformReport('openshell', { state: 'enforced', how: "OpenShell's supervisor" }), denied)
  }
  const none = (why: string): Enforcement =>
    unchanged(uniformReport('none', { state: 'not_enforced', how: 'none', why }), denied)
  if (options.mode === 'off') return none('POLICY_ENFORCEMENT=off')
  // Where OpenShell enforces, none of it is loaded.
  const { openBwrap } = await import('./open-bwrap.ts')
  const opened = await openBwrap(options, denied)
  const enforcement = 'lacking' in opened ? none(opened.lacking) : opened
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

/** By name: the runner's own files, and what the policy lists as readable only. */
function deniedPaths({ policy, places }: EnforcementOptions): DeniedPaths {
  const { state, frozen, hidden, wrappers } = places
  const { readOnly } = effectiveGrants(policy, IMAGE_WORKSPACE)
  return {
    read: [
      ...new Set([`${state}/store`, `${state}/logs`, ...hidden.filter((path) => !isWithin(state, path))]),
    ],
    write: [...new Set([...readOnly.filter((path) => path !== '/'), ...frozen, wrappers])],
  }
}

function unchanged(report: EnforcementReport, denied: DeniedPaths): Enforcement {
  return {
    report,
    denied,
    inside: undefined,
    problem: undefined,
    endLeftovers: () => Promise.resolve(0),
    settle: () => undefined,
    counts: { allowed: 0, audited: 0, denied: 0 },
    spawn({ command, args, cwd, env }) {
      return spawnChild(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    },
    close: () => Promise.resolve(),
  }
}
