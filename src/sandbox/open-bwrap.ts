// Opens the bubblewrap backend. This module is loaded only on machines without OpenShell.
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { toMessage } from '../errors.ts'
import { planMounts } from './bwrap/mount-view.ts'
import { type NetworkNamespace, openNetworkNamespace } from './bwrap/network-namespace.ts'
import {
  chooseIdentity,
  foldersOfRoot,
  handOver,
  isWithin,
  type Places,
  preparePlaces,
} from './bwrap/places.ts'
import { openShiftedOwner } from './bwrap/shifted-owner.ts'
import { findTools, tryBackend } from './bwrap/tools.ts'
import { BwrapSandbox } from './bwrap-sandbox.ts'
import type { EnforcementOptions, UnreachablePaths } from './enforcement-options.ts'

/**
 * Opens the network namespace while the policy is read, because that starts a process of its own. Returns undefined
 * when its tools are not installed.
 */
export function openEarly(): Promise<NetworkNamespace> | undefined {
  const found = findTools()
  if ('missing' in found) return undefined
  const network = openNetworkNamespace(found.tools)
  // The failure is reported where the promise is awaited.
  network.catch(() => undefined)
  return network
}

/**
 * Opens the sandbox; closes `options.network` when that fails.
 *
 * @returns the sandbox, or what this machine lacks for one.
 */
export async function openBwrap(
  options: EnforcementOptions,
  denied: UnreachablePaths,
): Promise<BwrapSandbox | { lacking: string }> {
  try {
    return await openSandbox(options, denied)
  } catch (error) {
    await options.network?.then((network) => network.close()).catch(() => undefined)
    // A folder's contents or owner must not switch enforcement off: such an error is thrown, and nothing starts.
    if (!(error instanceof MachineLacks)) throw error
    return { lacking: await explain(error) }
  }
}

/** Error of a machine that cannot run the sandbox, whatever the workspace holds. */
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
  const found = findTools()
  if ('missing' in found) return `install ${found.missing.join(', ')}`
  const failed = (await tryBackend(found.tools))
    .filter(({ ok }) => !ok)
    .map(({ name, why }) => `${name} (${why})`)
  return failed.length > 0 ? failed.join('; ') : toMessage(error)
}

async function openSandbox(options: EnforcementOptions, denied: UnreachablePaths): Promise<BwrapSandbox> {
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
    denied,
    identity,
    view,
    network,
    tools: found.tools,
    owner,
    ofRoot,
  }
  const sandbox = new BwrapSandbox(options, parts)
  try {
    await sandbox.recover()
    await ofMachine(() => sandbox.tryOut(options.policy))
    if (ofRoot.length > 0) await sandbox.tryOwners()
    return sandbox
  } catch (error) {
    await sandbox.close()
    throw error
  }
}
