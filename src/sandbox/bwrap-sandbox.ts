// Runs Claude Code in bubblewrap: its mounts, its network, and the cleanup after its processes have ended.
import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { chownSync, closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { RunnerError, toMessage } from '../errors.ts'
import type { Policy } from '../policy/read/schema.ts'
import type { ProcessRef } from '../process-table.ts'
import { proxySettings } from '../proxy-settings.ts'
import { createAuthority } from '../tunnel/authority.ts'
import { Aftermath } from './bwrap/aftermath.ts'
import { endOf, watch } from './bwrap/attempt.ts'
import { Placeholders } from './bwrap/freeze.ts'
import type { Guarding } from './bwrap/git-guard.ts'
import { insideEnvironment } from './bwrap/inside-environment.ts'
import { type LaunchFacts, toLaunchLine } from './bwrap/launch-line.ts'
import { endLeftovers, initOf, untilGone } from './bwrap/leftovers.ts'
import { isVisible, type Mount, type MountView, planMounts } from './bwrap/mount-view.ts'
import { type NetworkNamespace, PROXY_PORT } from './bwrap/network-namespace.ts'
import { foldersOfRoot, type Identity, IMAGE_APP, isFolder, isWithin, type Places } from './bwrap/places.ts'
import { protect } from './bwrap/protect.ts'
import { seccompFilter } from './bwrap/seccomp.ts'
import type { ShiftedOwner } from './bwrap/shifted-owner.ts'
import type { Tools } from './bwrap/tools.ts'
import { holdersOf } from './egress/binary-identity.ts'
import type { EgressDecision } from './egress/denial.ts'
import { EgressProxy, type EgressProxyOptions } from './egress/egress-proxy.ts'
import { writeCertificates } from './egress/inside-certificates.ts'
import { toModelEndpoint } from './model-endpoint.ts'
import { bwrapReport, type EnforcementReport } from './report.ts'

export interface SpawnRequest {
  command: string
  args: readonly string[]
  cwd: string
  env: Readonly<Record<string, string | undefined>>
  /** Called for each refusal of this process or one that it started, at most REPORTED_DENIALS_MAX times. */
  onDenied?(denial: EgressDecision): void
}

/** The start of one process, with its mounts planned. It is either spawned, once, or released. */
export interface PreparedStart {
  /** Spawns the process as child_process.spawn does, with piped stdio and its own process group. */
  spawn(request: SpawnRequest): ChildProcess
  /** Gives the start up. Safe to call twice; does nothing after `spawn`. */
  release(): void
}

export interface BwrapSandboxOptions {
  policy: Policy
  /** The runner's environment: its proxy settings and NODE_EXTRA_CA_CERTS are used. */
  env: Readonly<Record<string, string | undefined>>
  /** Base URL of the model route when it is not inference.local. */
  modelUrl?: string | undefined
  /** Called with the paths that were renamed or restored, because git would have executed what was made there. */
  onSetAside?(renamed: readonly string[]): void
  /** Replacements for parts of the proxy, for tests. */
  egress?: Pick<EgressProxyOptions, 'lookup' | 'dial' | 'upstreamAuthorities'>
}

interface Parts {
  places: Places
  denied: { read: readonly string[]; write: readonly string[] }
  identity: Identity
  view: MountView
  network: NetworkNamespace
  tools: Tools
  /** The mapping that shows root's files as the identity's; undefined when the runner is not root. */
  owner: ShiftedOwner | undefined
  /** Folders owned by root that `owner` is used for. */
  ofRoot: readonly string[]
}

/** A process that was started and still runs. */
interface Running {
  onDenied: SpawnRequest['onDenied']
  /** How many refusals `onDenied` was called for. */
  reported: number
  /** Returns the first process of its PID namespace; undefined until bubblewrap has made it. */
  init: () => ProcessRef | undefined
}

const FILTER_DESCRIPTOR = 3
const NOTHING_TO_DO = { command: '/bin/sh', args: ['-c', ':'], cwd: '/', env: { PATH: '/usr/bin:/bin' } }
/** Upper bound of the refusals that are reported to one process's owner. */
const REPORTED_DENIALS_MAX = 500
const COUNTED = { allow: 'allowed', audit: 'audited', deny: 'denied' } as const
/** Folders that are empty on every distribution. Root mounts over one of them, in its own mount namespace. */
const STAGES = ['/mnt', '/media', '/srv', '/opt']

export class BwrapSandbox {
  readonly report: EnforcementReport
  readonly inside: { temporary: string; uid: number }
  readonly denied: Parts['denied']
  readonly counts = { allowed: 0, audited: 0, denied: 0 }
  readonly #parts: Parts
  readonly #proxy: EgressProxy
  readonly #filterFile: string | undefined
  readonly #stage: string | undefined
  readonly #modelPort: number | undefined
  readonly #running = new Map<number, Running>()
  readonly #placeholders = new Placeholders()
  readonly #aftermath: Aftermath
  /** One promise per prepared start, kept until its processes have ended and their leftovers are settled. */
  readonly #unfinished = new Set<Promise<void>>()
  /** Tail of the queue in which scans and changes of the workspace run one at a time. */
  #turn: Promise<unknown> = Promise.resolve()
  #attempt: { readonly problem: string | undefined } | undefined
  #isClosed = false

  constructor(options: BwrapSandboxOptions, parts: Parts) {
    this.#parts = parts
    const { places, identity, view } = parts
    const { policy, env } = options
    this.denied = parts.denied
    this.inside = { temporary: places.temporary, uid: identity.uid }
    const own = join(places.state, 'sandbox')
    this.#aftermath = new Aftermath({
      workspace: places.workspace,
      file: join(own, 'known-repositories.json'),
      onSetAside: (renamed) => options.onSetAside?.(renamed),
    })
    const authority = createAuthority('agui-runner, this run')
    writeCertificates(places.tls, authority.pem, env['NODE_EXTRA_CA_CERTS'])
    const filter = seccompFilter()
    this.#filterFile = filter === undefined ? undefined : join(own, 'seccomp.bpf')
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

  /** Finishes the cleanup of a runner that was killed. Call once, before anything starts. */
  recover(): Promise<void> {
    return this.#inTurn(() => this.#aftermath.recover())
  }

  prepare(): Promise<PreparedStart> {
    return this.#inTurn(async () => {
      // Repositories that running processes have made must not become known, and so trusted, at this start.
      if (this.#unfinished.size > 0) await this.#aftermath.settle()
      const guarding = await this.#guard()
      try {
        this.#aftermath.begin({ ...guarding, workspace: this.#parts.places.workspace })
      } catch (error) {
        guarding.freeze.release()
        this.#attempt = { problem: toMessage(error) }
        throw error
      }
      return this.#startOf(guarding)
    })
  }

  #guard(): Promise<Guarding> {
    const { places, view } = this.#parts
    const writable = view.mounts.filter(({ kind }) => kind === 'write')
    return protect({
      places,
      placeholders: this.#placeholders,
      reader: this.#reader(),
      strange: this.#aftermath.strange,
      isWritable: (path) => isVisible(path, writable),
    })
  }

  #startOf(guarding: Guarding): PreparedStart {
    let isUsed = false
    let end: (gone: Promise<void>) => void = () => undefined
    const gone = new Promise<void>((resolve) => {
      end = resolve
    })
    const finished: Promise<void> = gone.then(() => this.#inTurn(() => this.#clearUp(finished, guarding)))
    this.#unfinished.add(finished)
    return {
      spawn: (request) => {
        isUsed = true
        try {
          const outer = foldersOfRoot([...guarding.freeze.outerRoots])
          const mounts = [...this.#parts.view.mounts, ...guarding.freeze.mounts]
          const { child, init } = this.#launch(request, mounts, outer)
          this.#attempt = watch(child)
          end(this.#gone(child, init))
          return child
        } catch (error) {
          end(Promise.resolve())
          this.#attempt = { problem: toMessage(error) }
          throw error
        }
      },
      release: () => {
        if (!isUsed) end(Promise.resolve())
      },
    }
  }

  async #clearUp(finished: Promise<void>, { freeze }: Guarding): Promise<void> {
    this.#unfinished.delete(finished)
    try {
      if (this.#unfinished.size === 0) await this.#aftermath.finish()
      else await this.#aftermath.settle()
    } finally {
      freeze.release()
    }
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const turn = this.#turn.then(work)
    this.#turn = turn.catch(() => undefined)
    return turn
  }

  /** Resolves when the whole namespace has ended: bubblewrap itself ends before its namespace does. */
  async #gone(child: ChildProcess, init: Running['init']): Promise<void> {
    await new Promise<void>((resolve) => {
      child.once('close', () => resolve())
    })
    const first = init()
    if (first !== undefined) await untilGone(first)
  }

  async endLeftovers({ pid }: ChildProcess): Promise<number> {
    const init = pid === undefined ? undefined : this.#running.get(pid)?.init()
    return init === undefined ? 0 : await endLeftovers(init)
  }

  settle(): Promise<void> {
    return this.#inTurn(() => this.#aftermath.settle())
  }

  /** Returns the user whose access rights on the disk count; undefined when that is the runner itself. */
  #reader(): Identity | undefined {
    const { identity, ofRoot, places } = this.#parts
    if (process.getuid?.() !== 0) return undefined
    return ofRoot.includes(places.workspace) ? { uid: 0, gid: 0 } : identity
  }

  #launch(
    request: SpawnRequest,
    mounts: readonly Mount[],
    outer: readonly string[] = [],
  ): { child: ChildProcess; init: Running['init'] } {
    if (this.#isClosed) throw new RunnerError('shutting_down', 'The sandbox is closed.')
    const { places, identity, network, tools, owner, ofRoot } = this.#parts
    const filter = this.#filterFile === undefined ? undefined : openSync(this.#filterFile, 'r')
    const descriptors = ['pipe', 'pipe', 'pipe', ...(filter === undefined ? [] : [filter]), 'pipe'] as const
    const facts: LaunchFacts = {
      tools,
      identity,
      network,
      cwd: request.cwd,
      mounts,
      filter: filter === undefined ? undefined : FILTER_DESCRIPTOR,
      info: descriptors.length - 1,
      stage: this.#stage,
      shifted: owner === undefined ? undefined : { roots: [...ofRoot, ...outer], space: owner.path },
    }
    const line = toLaunchLine(facts, this.#insideName(request.command), request.args)
    try {
      const child = spawnChild(line.command, line.parameters, {
        cwd: '/',
        env: insideEnvironment(request.env, { places, modelPort: this.#modelPort }),
        detached: true,
        stdio: [...descriptors],
      })
      const init = firstProcess(child, facts.info)
      const { pid } = child
      if (pid !== undefined) {
        this.#running.set(pid, { onDenied: request.onDenied?.bind(request), reported: 0, init })
        child.once('exit', () => this.#running.delete(pid))
      }
      return { child, init }
    } finally {
      if (filter !== undefined) closeSync(filter)
    }
  }

  /** Starts a trial process on an empty workspace. @throws {RunnerError} `policy_not_enforced` with the reason. */
  async tryOut(policy: Policy): Promise<void> {
    const { places, identity } = this.#parts
    const workspace = join(places.state, 'sandbox', 'trial')
    mkdirSync(workspace, { recursive: true })
    if (process.getuid?.() === 0) chownSync(workspace, identity.uid, identity.gid)
    const { mounts } = planMounts(policy, { ...places, workspace })
    const problem = await endOf(this.#launch(NOTHING_TO_DO, mounts).child)
    if (problem !== undefined) throw new RunnerError('policy_not_enforced', problem)
  }

  /** Tries to show root's folders as another user's. @throws {RunnerError} `policy_not_enforced` when that fails. */
  async tryOwners(): Promise<void> {
    const { view, ofRoot } = this.#parts
    const problem = await endOf(this.#launch(NOTHING_TO_DO, view.mounts).child)
    if (problem === undefined) return
    const message = `${ofRoot.join(' and ')} belongs to root and cannot be shown to an ordinary user (${problem}): start the runner as an ordinary user who owns it, chown it to one, or set POLICY_ENFORCEMENT=off.`
    throw new RunnerError('policy_not_enforced', message)
  }

  async close(): Promise<void> {
    this.#isClosed = true
    this.#proxy.close()
    this.#parts.network.close()
    this.#parts.owner?.close()
    // Processes that still run are ended by their owner, the caller of `spawn`.
    if (this.#running.size === 0) await Promise.all(this.#unfinished)
    await this.#turn
  }

  /** Returns a command's path inside: wrappers have the image's path there, everything else keeps its own. */
  #insideName(command: string): string {
    const { wrappers } = this.#parts.places
    return isWithin(command, wrappers) ? `${IMAGE_APP}/wrappers${command.slice(wrappers.length)}` : command
  }

  #onDecision(decision: EgressDecision, root: number | undefined): void {
    const isDenied = decision.verdict === 'deny'
    this.counts[COUNTED[decision.verdict]] += 1
    const owner = isDenied && root !== undefined ? this.#running.get(root) : undefined
    // A program that retries in a loop must not fill the log: later refusals are only counted.
    if (owner === undefined || owner.reported >= REPORTED_DENIALS_MAX) return
    owner.reported += 1
    owner.onDenied?.(decision)
  }
}

/** Returns a stage that no mount has its source in. @throws {RunnerError} `policy_not_enforced` when there is none. */
function chooseStage({ mounts }: MountView): string {
  const sources = mounts.flatMap((mount) => ('source' in mount && mount.source !== '/' ? [mount.source] : []))
  const free = STAGES.find((stage) => isFolder(stage) && !sources.some((source) => isWithin(source, stage)))
  if (free === undefined) throw new RunnerError('policy_not_enforced', `none of ${STAGES.join(', ')} is free`)
  return free
}

/** Returns a getter for the namespace's first process, which bubblewrap reports on `descriptor`. */
function firstProcess(child: ChildProcess, descriptor: number): Running['init'] {
  const stream = child.stdio[descriptor]
  let init: ProcessRef | undefined
  let said = ''
  if (stream instanceof Readable) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said += text
      init ??= initOf(said)
    })
    stream.on('error', () => {
      // bubblewrap has ended, so nothing more is reported.
    })
  }
  return () => init
}
