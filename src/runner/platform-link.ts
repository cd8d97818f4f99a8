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

/** Variables that name files of certificate authorities that every TLS connection trusts beside the built-in ones. */
const CA_VARIABLES = ['NODE_EXTRA_CA_CERTS', 'SSL_CERT_FILE']
/** The link's share of the shutdown time, from 0 to 1. The parts that are closed after the link get the rest. */
const FLUSH_SHARE = 0.5

/**
 * Opens the link to the control plane. Returns undefined, and loads nothing, when none is configured.
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

/** Reports the state of the link. It never fails, because runs work without the link. */
export async function sayLink(link: PlatformLink): Promise<Said> {
  const { name, reason } = link.state()
  const behind = await link.behind()
  const says = [name, reason, behind === 0 ? undefined : `${behind} records not pushed yet`]
  return { says: says.filter((part) => part !== undefined).join('; '), facts: { state: name, behind } }
}
