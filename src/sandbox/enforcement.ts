import { type ChildProcess, spawn as spawnChild } from 'node:child_process'
import { closeSync, existsSync, openSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { RunnerError, toMessage } from '../errors.ts'
import { effectiveGrants } from '../policy/decide/file-access.ts'
import type { Policy } from '../policy/read/schema.ts'
import { proxySettings } from '../proxy-settings.ts'
import { createAuthority } from '../tunnel/authority.ts'
import { insideEnvironment, MODEL_ALIAS } from './bwrap/inside-environment.ts'
import { type LaunchFacts, toLaunchLine } from './bwrap/launch-line.ts'
import { type MountView, planMounts, protectedMounts } from './bwrap/mount-view.ts'
import { type NetworkNamespace, openNetworkNamespace, PROXY_PORT } from './bwrap/network-namespace.ts'
import {
  chooseIdentity,
  handOver,
  type Identity,
  IMAGE_APP,
  IMAGE_WORKSPACE,
  isFolder,
  isWithin,
  type Places,
  preparePlaces,
} from './bwrap/places.ts'
import { seccompFilter } from './bwrap/seccomp.ts'
import { findTools, probe, type Tools } from './bwrap/tools.ts'
import { holdersOf } from './egress/binary-identity.ts'
import type { EgressDecision } from './egress/denial.ts'
import { EgressProxy, type EgressProxyOptions } from './egress/egress-proxy.ts'
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
/** Refusals that one process's owner is told. */
const TOLD_MAX = 500
const COUNTED = { allow: 'allowed', audit: 'audited', deny: 'denied' } as const
const TRIAL_MS_MAX = 10_000
const STDERR_TAIL_CHARS = 300
/** Empty folders of every distribution; root covers one of them, in a mount namespace of its own. */
const STAGES = ['/mnt', '/media', '/srv', '/opt']
const SYSTEM_ROOTS = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
]

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

async function explain(error: unknown): Promise<string> {
  if (process.platform !== 'linux') return `not built for ${process.platform}`
  const failed = (await probe()).filter(({ ok }) => !ok).map(({ name, why }) => `${name} (${why})`)
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
    counts: { allowed: 0, audited: 0, denied: 0 },
    spawn({ command, args, cwd, env }) {
      return spawnChild(command, args, { cwd, env, detached: true, stdio: ['pipe', 'pipe', 'pipe'] })
    },
    close: () => Promise.resolve(),
  }
}

async function openBwrap(options: EnforcementOptions): Promise<Enforcement> {
  const found = findTools()
  if ('missing' in found)
    throw new RunnerError('policy_not_enforced', `${found.missing.join(', ')} not installed`)
  const { state } = options.places
  const own = join(state, 'sandbox')
  const places: Places = {
    ...options.places,
    ...{ temporary: join(own, 'tmp'), home: join(own, 'home'), tls: join(own, 'tls') },
  }
  const identity = chooseIdentity(existsSync('/etc/passwd') ? readFileSync('/etc/passwd', 'utf8') : '')
  preparePlaces(places, identity)
  const view = planMounts(options.policy, places)
  if (view.missing.length > 0) {
    const message = `landlock.compatibility is hard_requirement, and these are missing: ${view.missing.join(', ')}`
    throw new RunnerError('policy_not_enforced', message)
  }
  const [network] = await Promise.all([
    options.network ?? openNetworkNamespace(found.tools),
    handOver(places.workspace, identity),
    handOver(places.claudeState, identity),
  ])
  const sandbox = new BwrapSandbox(options, { places, identity, view, network, tools: found.tools })
  try {
    await sandbox.tryOut()
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

  spawn(request: SpawnRequest): ChildProcess {
    if (this.#isClosed) throw new RunnerError('shutting_down', 'The sandbox is closed.')
    const { places, identity, view, network, tools } = this.#parts
    const filter = this.#filterFile === undefined ? undefined : openSync(this.#filterFile, 'r')
    const facts: LaunchFacts = {
      tools,
      identity,
      network,
      cwd: request.cwd,
      mounts: [...view.mounts, ...protectedMounts(places.workspace)],
      filter: filter === undefined ? undefined : FILTER_DESCRIPTOR,
      stage: this.#stage,
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

  /** One process through everything; its failure is the machine's answer. */
  async tryOut(): Promise<void> {
    const child = this.spawn({
      command: '/bin/sh',
      args: ['-c', ':'],
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
    })
    const timer = setTimeout(() => child.kill('SIGKILL'), TRIAL_MS_MAX)
    let said = ''
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-STDERR_TAIL_CHARS)
    })
    const code = await new Promise<number | null>((resolve) => {
      child.once('close', resolve)
      child.once('error', () => resolve(null))
    })
    clearTimeout(timer)
    if (code !== 0)
      throw new RunnerError('policy_not_enforced', said.trim() || `the trial ended with ${code}`)
  }

  close(): Promise<void> {
    this.#isClosed = true
    this.#proxy.close()
    this.#parts.network.close()
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

/** The run's authority, beside what the runner itself was told to trust. */
function writeCertificates(folder: string, pem: string, extraFile: string | undefined): void {
  const extra = readFirst(extraFile === undefined ? [] : [extraFile]) ?? ''
  const roots = readFirst(SYSTEM_ROOTS) ?? rootCertificates.join('\n')
  writeFileSync(join(folder, 'openshell-ca.pem'), `${pem}\n${extra}`)
  writeFileSync(join(folder, 'ca-bundle.pem'), `${roots}\n${pem}\n${extra}`)
}

function readFirst(files: readonly string[]): string | undefined {
  for (const file of files) {
    try {
      return readFileSync(file, 'utf8')
    } catch {
      // Each distribution keeps its bundle elsewhere; a missing extra file is the route's problem to tell.
    }
  }
  return undefined
}

function toModelEndpoint(url: string | undefined): EgressProxyOptions['model'] {
  if (url === undefined || !URL.canParse(url)) return undefined
  const { hostname, port, protocol } = new URL(url)
  const host = hostname.replace(/^\[(.*)\]$/, '$1')
  const number = Number(port || (protocol === 'http:' ? 80 : 443))
  if (host === 'inference.local') return undefined
  // Inside, loopback is the sandbox's own.
  const isLoopback = host === 'localhost' || host === '::1' || host.startsWith('127.')
  return isLoopback
    ? { host: MODEL_ALIAS, port: number, dialled: { host, port: number } }
    : { host, port: number }
}
