// Verifies from inside, as the agent's user, that the way out is locked.
import { execFile } from 'node:child_process'
import { getServers, lookup, Resolver } from 'node:dns/promises'
import { accessSync, constants, existsSync, readFileSync } from 'node:fs'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { promisify } from 'node:util'
import { z } from 'zod'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { decideEgress } from '../policy/decide/egress.ts'
import { loadPolicy } from '../policy/read/load.ts'
import type { Policy } from '../policy/read/schema.ts'
import { unlessAborted, within } from '../within.ts'
import {
  CERTIFICATES,
  FOLDER,
  HELD_FOLDER,
  LOCK_FOLDER,
  LOCK_POLICY,
  MANAGED_SETTINGS,
  POLICY_PROXY_PORT,
  WORKSPACE,
} from './container-places.ts'
import { askModel, askTunnel, datagramLeakOf, leakOf, reach } from './dial.ts'
import { defaultGateways, isListed, isReadOnlyMount, powersOf } from './machine.ts'
import { managedSettingsFile } from './managed-settings-file.ts'
import { type Sample, samplesOf } from './samples.ts'

/** Limit of the whole verification, the proxy's start included, in milliseconds. */
const VERIFY_MS = 15_000
const NAME_MS = 1_000
const PROXY_POLL_MS = 50
/** Limit of one host behind the proxy, in milliseconds. */
const REACH_MS = 8_000

const ENGINE_NAMES = '127.0.0.11'
/** A name that nobody owns, and documentation addresses: a packet that is not refused there has a way out. */
const OUTSIDE: Sample = { host: 'agui-runner-verify.invalid', port: 443 }
const NOWHERE = ['192.0.2.1', '2001:db8::1']

const CA_BUNDLE = join(CERTIFICATES, 'ca-bundle.pem')

/** The result as sentences. The container is locked when `problems` is empty. */
export interface LockReport {
  held: string[]
  problems: string[]
  /** Checks that were not possible, and hosts that do not answer. */
  notes: string[]
}

/** Runs all checks. @throws {RunnerError} `config_invalid` outside of a dev container of ours. */
export async function verifyLock(signal: AbortSignal): Promise<LockReport> {
  if (!existsSync(LOCK_POLICY))
    throw new RunnerError(
      'config_invalid',
      `${LOCK_POLICY} is not there: verify runs inside the dev container that \`devcontainer init\` describes.`,
    )
  const policy = await loadPolicy(LOCK_POLICY)
  const samples = samplesOf(policy)
  return await within({ signal, timeoutMs: VERIFY_MS }, async (limit) => {
    const parts = await Promise.all([
      judgeUser(),
      judgeFiles(policy),
      judgeNames(samples, limit),
      judgeDirect(samples, limit),
      judgeProxy(policy, samples, limit),
    ])
    return joined(parts)
  })
}

function joined(parts: readonly LockReport[]): LockReport {
  return {
    held: parts.flatMap(({ held }) => held),
    problems: parts.flatMap(({ problems }) => problems),
    notes: parts.flatMap(({ notes }) => notes),
  }
}

function reportOf(what: string, problems: readonly string[]): LockReport {
  return { held: problems.length === 0 ? [what] : [], problems: [...problems], notes: [] }
}

async function judgeUser(): Promise<LockReport> {
  const problems = process.getuid?.() === 0 ? ['this user is root'] : powersOf()
  const nft = (...args: string[]): Promise<boolean> =>
    promisify(execFile)('/usr/sbin/nft', args).then(
      () => true,
      () => false,
    )
  const probe = ['table', 'inet', 'agui_verify'] as const
  if (await nft('add', ...probe)) {
    await nft('delete', ...probe)
    problems.push('this user can change the rules')
  }
  return reportOf('this user is not root, cannot become it and cannot change the rules', problems)
}

/** Checks that this user can neither write the lock nor enter the held folder, and that no managed rule is missing. */
function judgeFiles(policy: Policy): LockReport {
  const may = (path: string, mode: number): boolean => {
    try {
      accessSync(path, mode)
      return true
    } catch {
      return false
    }
  }
  const problems = [
    LOCK_FOLDER,
    LOCK_POLICY,
    MANAGED_SETTINGS,
    join(MANAGED_SETTINGS, '..'),
    '/app',
    '/usr/local/bin',
  ]
    .filter((path) => may(path, constants.W_OK))
    .map((path) => `this user can write ${path}`)
  const lacking = lackingRules(policy)
  if (lacking > 0)
    problems.push(
      `${MANAGED_SETTINGS} lacks ${lacking} rules of the policy's: \`agui-runner devcontainer init\` writes them`,
    )
  const folder = `${WORKSPACE}/${FOLDER}`
  if (!isReadOnlyMount(folder)) problems.push(`this user can change ${folder}, which the host acts on`)
  if (may(HELD_FOLDER, constants.X_OK)) problems.push(`this user can look into ${HELD_FOLDER}`)
  return reportOf(
    `policy, managed settings and ${FOLDER} cannot be written, credentials cannot be read`,
    problems,
  )
}

const Managed = z.object({ permissions: z.object({ deny: z.array(z.string()) }) })

function lackingRules(policy: Policy): number {
  const { deny } = managedSettingsFile(policy, {}).permissions
  try {
    const { permissions } = Managed.parse(JSON.parse(readFileSync(MANAGED_SETTINGS, 'utf8')))
    return deny.filter((rule) => !permissions.deny.includes(rule)).length
  } catch {
    return deny.length
  }
}

/** Checks that no name service answers, not even with an error. */
async function judgeNames(samples: readonly Sample[], signal: AbortSignal): Promise<LockReport> {
  const name = samples.find(({ host }) => isIP(host) === 0)?.host ?? OUTSIDE.host
  const servers = [...new Set([...getServers(), ENGINE_NAMES])]
  const answers = await Promise.all(
    servers.map(async (server) => {
      const resolver = new Resolver({ timeout: NAME_MS, tries: 1 })
      resolver.setServers([server])
      return (await isAnswered(resolver, name)) ? [`the name service ${server} answers`] : []
    }),
  )
  // The system's resolver, which programs use, may have further sources of names.
  const isResolved = await within({ signal, timeoutMs: NAME_MS }, (limit) =>
    unlessAborted(limit, lookup(name)),
  ).then(
    () => !isListed(name, readFileSync('/etc/hosts', 'utf8')),
    () => false,
  )
  const problems = [...answers.flat(), ...(isResolved ? [`${name} resolves`] : [])]
  return reportOf(`names do not resolve (${servers.join(', ')})`, problems)
}

async function isAnswered(resolver: Resolver, name: string): Promise<boolean> {
  try {
    await resolver.resolve4(name)
    return true
  } catch (error) {
    return !hasErrno(error, 'ECONNREFUSED', 'ETIMEOUT', 'ECANCELLED')
  }
}

/** Checks that direct connections are refused here. Of a neighbour even a refusal would prove that packets leave. */
async function judgeDirect(samples: readonly Sample[], signal: AbortSignal): Promise<LockReport> {
  const neighbours = [...defaultGateways(), ...getServers().filter((server) => !server.startsWith('127.'))]
  const targets: Sample[] = [
    ...neighbours.flatMap((host) => [
      { host, port: 53 },
      { host, port: 443 },
    ]),
    ...NOWHERE.map((host) => ({ host, port: 443 })),
    // It answers by TCP too, which no resolver here tries.
    { host: ENGINE_NAMES, port: 53 },
    ...samples.filter(({ host }) => isIP(host) !== 0),
  ]
  const leaks = await Promise.all(
    targets.map(async ({ host, port }) => {
      const [tcp, udp] = await Promise.all([leakOf(host, port, signal), datagramLeakOf(host, port, signal)])
      return [
        ...(tcp === undefined ? [] : [`${host} port ${port}, directly: ${tcp}`]),
        ...(udp === undefined ? [] : [`${host} port ${port} by UDP, directly: ${udp}`]),
      ]
    }),
  )
  return reportOf(
    `direct connections are refused (${[...new Set(targets.map(({ host }) => host))].join(', ')})`,
    leaks.flat(),
  )
}

async function judgeProxy(
  policy: Policy,
  samples: readonly Sample[],
  signal: AbortSignal,
): Promise<LockReport> {
  try {
    await untilProxy(signal)
    const parts = [judgeRefusal(policy, signal), judgeReach(samples, signal), judgeModel(signal)]
    return joined(await Promise.all(parts))
  } catch (error) {
    return reportOf('', [`the proxy on port ${POLICY_PROXY_PORT} does not answer: ${toMessage(error)}`])
  }
}

/** Waits until the proxy answers; it may start at the same time as this process. */
async function untilProxy(signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      const { socket } = await askTunnel(OUTSIDE, signal)
      return void socket.destroy()
    } catch (error) {
      await wait(PROXY_POLL_MS)
      if (signal.aborted) throw error
    }
  }
}

async function judgeRefusal(policy: Policy, signal: AbortSignal): Promise<LockReport> {
  if (decideEgress(policy, OUTSIDE).verdict !== 'deny')
    return reportOf('', ['the policy lets every host through: there is no lock to verify'])
  const { status, body, socket } = await askTunnel(OUTSIDE, signal)
  socket.destroy()
  const isRefused = status === 403 && body.includes('policy_denied')
  const problem = `the proxy answers ${status} for ${OUTSIDE.host}, which the policy does not allow`
  return reportOf(
    `the proxy refuses what the policy does not allow (${OUTSIDE.host})`,
    isRefused ? [] : [problem],
  )
}

/** Checks that a sample is reached. One is enough; the others that fail become notes. */
async function judgeReach(samples: readonly Sample[], signal: AbortSignal): Promise<LockReport> {
  let ca: string
  try {
    ca = readFileSync(CA_BUNDLE, 'utf8')
  } catch (error) {
    return reportOf('', [`the certificates that programs trust here cannot be read: ${toMessage(error)}`])
  }
  const [held, failures]: [string[], string[]] = [[], []]
  await Promise.all(
    samples.map(async (sample) => {
      const { host, port, method, path } = sample
      const what = `${host}:${port}${method === undefined ? '' : ` ${method} ${path}`}`
      try {
        const answer = await within({ signal, timeoutMs: REACH_MS }, (limit) => reach(sample, ca, limit))
        held.push(`reached through the proxy: ${what} (${answer})`)
      } catch (error) {
        failures.push(`not reached through the proxy: ${what}: ${toMessage(error)}`)
      }
    }),
  )
  if (samples.length === 0)
    return {
      held,
      problems: [],
      notes: ['the policy names no host that can be tried without changing anything'],
    }
  return held.length === 0 ? { held, problems: failures, notes: [] } : { held, problems: [], notes: failures }
}

/** Notes whether the model answers. A missing answer is a note, because the lock does not cause it. */
async function judgeModel(signal: AbortSignal): Promise<LockReport> {
  const note = (text: string): LockReport => ({ held: [], problems: [], notes: [text] })
  try {
    const status = await within({ signal, timeoutMs: REACH_MS }, askModel)
    if (status === 404) return note('no model: the proxy has no credential for one')
    if (status === 502) return note('the model is not reached (502)')
    return reportOf(`reached through the proxy: the model (${status})`, [])
  } catch (error) {
    return note(`the model is not reached: ${toMessage(error)}`)
  }
}
