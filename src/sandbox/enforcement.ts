import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { RunnerError, toMessage } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import { planMounts } from './bwrap/mount-view.ts'
import { type NetworkNamespace, openNetworkNamespace } from './bwrap/network-namespace.ts'
import {
  chooseIdentity,
  foldersOfRoot,
  handOver,
  IMAGE_WORKSPACE,
  isWithin,
  type Places,
  preparePlaces,
} from './bwrap/places.ts'
import { openShiftedOwner } from './bwrap/shifted-owner.ts'
import { findTools, tryBackend } from './bwrap/tools.ts'
import { BwrapSandbox, type BwrapSandboxOptions, type SpawnRequest } from './bwrap-sandbox.ts'
import { type EnforcementReport, gapsOf, launcherReport, uniformReport } from './report.ts'

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

export interface EnforcementOptions extends BwrapSandboxOptions {
  mode: 'auto' | 'required' | 'off'
  places: Omit<Places, 'temporary' | 'home' | 'tls'>
  /** Being opened already, because it needs nothing of the above. Closed with the enforcement, or when none is made. */
  network?: Promise<NetworkNamespace> | undefined
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
  const launch = options.env['AGUI_LAUNCH']
  let enforcement: Enforcement
  try {
    enforcement = launch ? unchanged(launcherReport(launch), denied) : await openBwrap(options)
  } catch (error) {
    await options.network?.then((network) => network.close()).catch(() => undefined)
    // What the folders hold, or whose they are, must not decide whether the policy holds: then nothing starts.
    if (!(error instanceof MachineLacks)) throw error
    enforcement = none(await explain(error))
  }
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

/** This machine cannot do it, whatever the workspace. */
class MachineLacks extends Error {}

async function ofMachine<T>(work: () => T | Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw new MachineLacks(toMessage(error), { cause: error })
  }
}

async function explain(error: unknown): Promise<string> {
  if (process.platform !== 'linux') return `not built for ${process.platform}`
  const failed = (await tryBackend()).filter(({ ok }) => !ok).map(({ name, why }) => `${name} (${why})`)
  return failed.length > 0 ? failed.join('; ') : toMessage(error)
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

async function openBwrap(options: EnforcementOptions): Promise<Enforcement> {
  const found = findTools()
  if ('missing' in found) throw new MachineLacks(`${found.missing.join(', ')} not installed`)
  const { state } = options.places
  const own = join(state, 'sandbox')
  const places: Places = {
    ...options.places,
    ...{ temporary: join(own, 'tmp'), home: join(own, 'home'), tls: join(own, 'tls') },
  }
  const identity = chooseIdentity(
    existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '',
    places.workspace,
  )
  preparePlaces(places, identity)
  const view = planMounts(options.policy, places)
  if (view.missing.length > 0) {
    const message = `landlock.compatibility is hard_requirement, and these are missing: ${view.missing.join(', ')}`
    throw new MachineLacks(message)
  }
  const isOwnState = isWithin(places.claudeState, state)
  const ofRoot = foldersOfRoot([places.workspace, ...(isOwnState ? [] : [places.claudeState])])
  const [network, owner] = await Promise.all([
    ofMachine(() => options.network ?? openNetworkNamespace(found.tools)),
    process.getuid?.() === 0 ? ofMachine(() => openShiftedOwner(found.tools.unshare, identity)) : undefined,
    isOwnState ? handOver(places.claudeState, identity) : undefined,
  ])
  const parts = {
    places,
    denied: deniedPaths(options),
    identity,
    view,
    network,
    tools: found.tools,
    owner,
    ofRoot,
  }
  const sandbox = new BwrapSandbox(options, parts)
  try {
    await ofMachine(() => sandbox.tryOut(options.policy))
    if (ofRoot.length > 0) await sandbox.tryOwners()
    return sandbox
  } catch (error) {
    await sandbox.close()
    throw error
  }
}
