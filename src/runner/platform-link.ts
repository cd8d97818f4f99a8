import { existsSync } from 'node:fs'
import type { Config, Env } from '../config.ts'
import type { PlatformLink } from '../platform-link/platform-link.ts'
import { proxySettings } from '../proxy-settings.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { Threads } from '../thread/threads.ts'
import type { Said } from './checks.ts'

interface Linked {
  config: Config
  env: Env
  logger: Logger
  redactor: Redactor
  storage: Storage
  threads: Threads
  firstPrompt?: string | undefined
}

/** Variables that name what every TLS connection here trusts beside the built-in authorities. */
const CA_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']
/** Of the time in which the runner has to stop; the rest is for what stops behind the link. */
const FLUSH_SHARE = 0.5

/**
 * The link to the control plane; undefined when none is asked for, and then nothing of it is loaded.
 *
 * @throws {RunnerError} `config_invalid`.
 */
export async function openLink({
  config,
  env,
  logger,
  firstPrompt,
  ...parts
}: Linked): Promise<PlatformLink | undefined> {
  const { platformLink: settings, workspace, limits } = config
  if (settings === undefined) return undefined
  const { openPlatformLink } = await import('../platform-link/platform-link.ts')
  const named = CA_VARIABLES.map((name) => env[name] ?? '')
  return await openPlatformLink({
    ...parts,
    firstPrompt,
    settings,
    workspace,
    logger: logger.child({ part: 'platform-link' }),
    proxies: proxySettings(env),
    caFiles: [...new Set(named)].filter((file) => file !== '' && existsSync(file)),
    flushMs: Math.round(limits.shutdownGraceMs * FLUSH_SHARE),
  })
}

/** A run works without it, so it fails no readiness. */
export async function sayLink(link: PlatformLink): Promise<Said> {
  const { name, reason } = link.state()
  const behind = await link.behind()
  const says = [name, reason, behind === 0 ? undefined : `${behind} records not pushed yet`]
  return { says: says.filter((part) => part !== undefined).join('; '), facts: { state: name, behind } }
}
