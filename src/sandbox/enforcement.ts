import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { chownSync, closeSync, existsSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { RunnerError, toMessage } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import type { Policy } from '../policy/read/schema.ts'
import { proxySettings } from '../proxy-settings.ts'
import { createAuthority } from '../tunnel/authority.ts'
import { endOf, watch } from './bwrap/attempt.ts'
import { Placeholders } from './bwrap/freeze.ts'
import type { Guarding } from './bwrap/git-guard.ts'
import { writeCertificates } from './bwrap/inside-certificates.ts'
import { insideEnvironment } from './bwrap/inside-environment.ts'
import { type LaunchFacts, toLaunchLine } from './bwrap/launch-line.ts'
import { type Mount, type MountView, planMounts } from './bwrap/mount-view.ts'
import { type NetworkNamespace, openNetworkNamespace, PROXY_PORT } from './bwrap/network-namespace.ts'
import {
  chooseIdentity,
  foldersOfRoot,
  handOver,
  type Identity,
  IMAGE_APP,
  IMAGE_WORKSPACE,
  isFolder,
  isWithin,
  type Places,
  preparePlaces,
} from './bwrap/places.ts'
import { protect } from './bwrap/protect.ts'
import { seccompFilter } from './bwrap/seccomp.ts'
import { setAside } from './bwrap/set-aside.ts'
import { openShiftedOwner, type ShiftedOwner } from './bwrap/shifted-owner.ts'
import { findTools, type Tools, tryBackend } from './bwrap/tools.ts'
import { holdersOf } from './egress/binary-identity.ts'
import type { EgressDecision } from './egress/denial.ts'
import { EgressProxy, type EgressProxyOptions } from './egress/egress-proxy.ts'
import { toModelEndpoint } from './model-endpoint.ts'
import { bwrapReport, type EnforcementReport, gapsOf, uniformReport } from './report.ts'

interface SpawnRequest {
  command: string
  args: readonly string[]
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  /** Told of what this process, or what it started, was refused. */
  onDenied?(denial: EgressDecision): void
}

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
   * When a run has ended: takes away what was made inside for git to run outside (docs/enforcement.md). Returns the
   * paths that were renamed.
   */
  settle(): string[]
  /** Connections, requests and messages so far; `audited` passed though the policy does not permit them. */
  readonly counts: { readonly allowed: number; readonly audited: number; readonly denied: number }
  /** In the place of child_process.spawn: piped stdio, a process group of its own. */
  spawn(request: SpawnRequest): ChildProcess
  /** Idempotent. Processes that still run lose their way out. */
  close(): Promise<void>
}

export interface EnforcementOptions {
  policy: Policy
  mode: 'auto' | 'required' | 'off'
  /** The runner's own, for its proxy and its certificates. */
  env: Readonly<Record<string, string | undefined>>
  places: Omit<Places, 'temporary' | 'home' | 'tls'>
  /** Base URL of the model route when it is not inference.local. */
  modelUrl?: string | undefined
  /** Being opened already, because it needs nothing of the above. Closed with the enforcement, or when none is made. */
  network?: Promise<NetworkNamespace> | undefined
  /** For tests. */
  egress?: Pick<EgressProxyOptions, 'lookup' | 'dial' | 'upstreamAuthorities'>
}

const FILTER_DESCRIPTOR = 3
const NOTHING_TO_DO = { command: '/bin/sh', args: ['-c', ':'], cwd: '/', env: { PATH: '/usr/bin:/bin' } }
/** Refusals that one process's owner is told. */
const TOLD_MAX = 500
const COUNTED = { allow: 'allowed', audit: 'audited', deny: 'denied' } as const
/** Empty folders of every distribution; root covers one of them, in a mount namespace of its own. */
const STAGES = ['/mnt', '/media', '/srv', '/opt']
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
  let enforcement: Enforcement
  try {
    enforcement = await openBwrap(options)
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
    settle: () => [],
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
  const parts = { places, identity, view, network, tools: found.tools, owner, ofRoot }
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

interface Parts {
  places: Places
  identity: Identity
  view: MountView
  network: NetworkNamespace
  tools: Tools
  /** The mapping that shows root's files as the identity's; undefined when the runner is not root. */
  owner: ShiftedOwner | undefined
  /** What it is used for. */
  ofRoot: readonly string[]
}

class BwrapSandbox implements Enforcement {
  readonly report: EnforcementReport
  readonly inside: { temporary: string; uid: number }
  readonly denied: DeniedPaths
  readonly counts = { allowed: 0, audited: 0, denied: 0 }
  readonly #parts: Parts
  readonly #proxy: EgressProxy
  readonly #filterFile: string | undefined
  readonly #stage: string | undefined
  readonly #modelPort: number | undefined
  /** What was started and lives, by pid. */
  readonly #running = new Map<number, { onDenied: SpawnRequest['onDenied']; told: number }>()
  readonly #placeholders = new Placeholders()
  #known: Guarding | undefined
  #unclosed = 0
  #attempt: { readonly problem: string | undefined } | undefined
  #isClosed = false

  constructor(options: EnforcementOptions, parts: Parts) {
    this.#parts = parts
    const { places, identity, view } = parts
    const { policy, env } = options
    this.denied = deniedPaths(options)
    this.inside = { temporary: places.temporary, uid: identity.uid }
    const authority = createAuthority('agui-runner, this run')
    writeCertificates(places.tls, authority.pem, env['NODE_EXTRA_CA_CERTS'])
    const filter = seccompFilter()
    this.#filterFile = filter === undefined ? undefined : join(places.state, 'sandbox', 'seccomp.bpf')
    if (filter !== undefined && this.#filterFile !== undefined) writeFileSync(this.#filterFile, filter)
    this.#stage = process.getuid?.() === 0 ? chooseStage(view) : undefined
    const model = toModelEndpoint(options.modelUrl)
    this.#modelPort = model?.dialled?.port
    this.#proxy = new EgressProxy({
      ...options.egress,
      policy,
      model,
      authority,
      route: proxySettings(env),
      holdersOf: (port) => holdersOf(port, { toPort: PROXY_PORT, roots: [...this.#running.keys()] }),
      onDecision: (decision, root) => this.#onDecision(decision, root),
    })
    this.#proxy.serve(parts.network.listener)
    this.report = bwrapReport({
      policy,
      mounted: view.mounts.map(({ target }) => target),
      skipped: view.skipped,
      uid: identity.uid,
      hasFilter: filter !== undefined,
      model: model === undefined ? undefined : `${model.host}:${model.port}`,
    })
  }

  get problem(): string | undefined {
    return this.#attempt?.problem
  }

  spawn(request: SpawnRequest): ChildProcess {
    // What those that live have made does not become known, and so trusted, because another one starts.
    if (this.#unclosed > 0) this.settle()
    const guarding = protect(this.#parts.places, this.#placeholders, this.#reader())
    this.#known = guarding
    try {
      const outer = foldersOfRoot([...guarding.freeze.outerRoots])
      const child = this.#launch(request, [...this.#parts.view.mounts, ...guarding.freeze.mounts], outer)
      this.#attempt = watch(child)
      this.#unclosed += 1
      child.once('close', () => {
        this.#unclosed -= 1
        this.settle()
        guarding.freeze.release()
      })
      return child
    } catch (error) {
      guarding.freeze.release()
      this.#attempt = { problem: toMessage(error) }
      throw error
    }
  }

  /** Whom the files must let in, as they are on the disk; undefined when that is the runner itself. */
  #reader(): Identity | undefined {
    const { identity, ofRoot, places } = this.#parts
    if (process.getuid?.() !== 0) return undefined
    return ofRoot.includes(places.workspace) ? { uid: 0, gid: 0 } : identity
  }

  settle(): string[] {
    return this.#known === undefined ? [] : setAside(this.#known)
  }

  #launch(request: SpawnRequest, mounts: readonly Mount[], outer: readonly string[] = []): ChildProcess {
    if (this.#isClosed) throw new RunnerError('shutting_down', 'The sandbox is closed.')
    const { places, identity, network, tools, owner, ofRoot } = this.#parts
    const filter = this.#filterFile === undefined ? undefined : openSync(this.#filterFile, 'r')
    const facts: LaunchFacts = {
      tools,
      identity,
      network,
      cwd: request.cwd,
      mounts,
      filter: filter === undefined ? undefined : FILTER_DESCRIPTOR,
      stage: this.#stage,
      shifted: owner === undefined ? undefined : { roots: [...ofRoot, ...outer], space: owner.path },
    }
    const line = toLaunchLine(facts, this.#insideName(request.command), request.args)
    try {
      const child = spawnChild(line.command, line.parameters, {
        cwd: '/',
        env: insideEnvironment(request.env, { places, modelPort: this.#modelPort }),
        detached: true,
        stdio: ['pipe', 'pipe', 'pipe', ...(filter === undefined ? [] : [filter])],
      })
      const { pid } = child
      if (pid !== undefined) {
        this.#running.set(pid, { onDenied: request.onDenied?.bind(request), told: 0 })
        child.once('exit', () => this.#running.delete(pid))
      }
      return child
    } finally {
      if (filter !== undefined) closeSync(filter)
    }
  }

  /** One process through everything, on an empty folder; its failure is the machine's answer. */
  async tryOut(policy: Policy): Promise<void> {
    const { places, identity } = this.#parts
    const workspace = join(places.state, 'sandbox', 'trial')
    mkdirSync(workspace, { recursive: true })
    if (process.getuid?.() === 0) chownSync(workspace, identity.uid, identity.gid)
    const { mounts } = planMounts(policy, { ...places, workspace })
    const problem = await endOf(this.#launch(NOTHING_TO_DO, mounts))
    if (problem !== undefined) throw new RunnerError('policy_not_enforced', problem)
  }

  /** Whether the folders of root's can be shown as another user's; else their owner would have to change. */
  async tryOwners(): Promise<void> {
    const { view, ofRoot } = this.#parts
    const problem = await endOf(this.#launch(NOTHING_TO_DO, view.mounts))
    if (problem === undefined) return
    const message = `${ofRoot.join(' and ')} belongs to root and cannot be shown to an ordinary user (${problem}): start the runner as an ordinary user who owns it, chown it to one, or set POLICY_ENFORCEMENT=off.`
    throw new RunnerError('policy_not_enforced', message)
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#proxy.close()
    this.#parts.network.close()
    this.#parts.owner?.close()
    return Promise.resolve()
  }

  /** The wrappers have the image's name inside; everything else has its own. */
  #insideName(command: string): string {
    const { wrappers } = this.#parts.places
    return isWithin(command, wrappers) ? `${IMAGE_APP}/wrappers${command.slice(wrappers.length)}` : command
  }

  #onDecision(decision: EgressDecision, root: number | undefined): void {
    const isDenied = decision.verdict === 'deny'
    this.counts[COUNTED[decision.verdict]] += 1
    const owner = isDenied && root !== undefined ? this.#running.get(root) : undefined
    // A program that asks in a loop must not fill the log; what comes later is counted only.
    if (owner === undefined || owner.told >= TOLD_MAX) return
    owner.told += 1
    owner.onDenied?.(decision)
  }
}

/** One that nothing is mounted from or on; undefined would mean that root cannot start anything. */
function chooseStage({ mounts }: MountView): string {
  const sources = mounts.flatMap((mount) => ('source' in mount && mount.source !== '/' ? [mount.source] : []))
  const free = STAGES.find((stage) => isFolder(stage) && !sources.some((source) => isWithin(source, stage)))
  if (free === undefined) throw new RunnerError('policy_not_enforced', `none of ${STAGES.join(', ')} is free`)
  return free
}
