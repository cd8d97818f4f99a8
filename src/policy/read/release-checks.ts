// Checks for features that older releases of OpenShell lack, and for what 0.1.0 added and removed (docs/policy.md,
// "Releases"). The rest of this folder has the rules of 0.0.111.
import type { Finding, Path } from './document.ts'
import type { PolicyMode } from './fields.ts'
import { formatRelease, isAtLeast, looseWord, type Release, TYPED } from './release.ts'
import type { Policy } from './schema.ts'
import type { EndpointSite } from './site.ts'

const ENDPOINT_KEYS: Readonly<Record<string, Release>> = {
  json_rpc: [0, 0, 72],
  mcp: [0, 0, 72],
  credential_signing: [0, 0, 72],
  signing_service: [0, 0, 72],
  signing_region: [0, 0, 72],
  credential_binding: [0, 0, 103],
  allow_uninspected_credentials: [0, 0, 110],
}
const PROTOCOLS: Readonly<Record<string, Release>> = {
  'json-rpc': [0, 0, 72],
  mcp: [0, 0, 72],
  tcp: [0, 0, 111],
}
const MIDDLEWARES: Release = [0, 0, 86]
const MCP_VERSIONS = ['2025-03-26', '2025-06-18', '2025-11-25']

interface Reading {
  mode: PolicyMode
  release: Release
  has: (path: Path) => boolean
}

export function checkRelease(policy: Policy, sites: readonly EndpointSite[], reading: Reading): Finding[] {
  return [...findTooNew(sites, reading), ...findGone(policy, reading), ...sites.flatMap(checkMcpVersions)]
}

/** Finds features that are newer than the release. For the typed loader one unknown key voids the file. */
function findTooNew(sites: readonly EndpointSite[], { mode, release, has }: Reading): Finding[] {
  const needs = (path: Path, what: string, since: Release): Finding[] =>
    isAtLeast(release, since)
      ? []
      : [
          {
            severity: 'error',
            path,
            at: 'key',
            message: `${what} needs OpenShell ${formatRelease(since)} or newer: ${formatRelease(release)} refuses the file`,
          },
        ]
  const keys = mode === 'typed' ? Object.entries(ENDPOINT_KEYS) : []
  return [
    ...(mode === 'typed' && has(['network_middlewares'])
      ? needs(['network_middlewares'], 'network_middlewares', MIDDLEWARES)
      : []),
    ...sites.flatMap(({ endpoint, path }) => {
      const protocol = endpoint.protocol.toLowerCase()
      const since = PROTOCOLS[protocol]
      return [
        ...(since === undefined ? [] : needs([...path, 'protocol'], `protocol ${protocol}`, since)),
        ...keys.flatMap(([key, first]) => (has([...path, key]) ? needs([...path, key], key, first) : [])),
        ...(endpoint.mcp?.versions === undefined
          ? []
          : needs([...path, 'mcp', 'versions'], 'mcp.versions', TYPED)),
      ]
    }),
  ]
}

function findGone(policy: Policy, { release, has }: Reading): Finding[] {
  return Object.entries(policy.network_policies).flatMap(([rule, { binaries }]) => {
    const path: Path = ['network_policies', rule]
    const own = rule.startsWith('_provider_')
      ? [looseWord(release, path, 'names that begin with _provider_ are OpenShell’s own')]
      : []
    const harness = binaries.flatMap((_, index): Finding[] => {
      const at: Path = [...path, 'binaries', index, 'harness']
      return has(at) ? [looseWord(release, at, 'harness does nothing')] : []
    })
    return [...own, ...harness]
  })
}

function checkMcpVersions({ endpoint, path, release }: EndpointSite): Finding[] {
  const versions = endpoint.mcp?.versions
  if (versions === undefined || !isAtLeast(release, TYPED)) return []
  const at: Path = [...path, 'mcp', 'versions']
  if (versions.length === 0) {
    const message = `versions must not be empty; without it they are [${MCP_VERSIONS.at(-1)}]`
    return [{ severity: 'error', path: at, message }]
  }
  return versions.flatMap((version, index): Finding[] => {
    const isTwice = versions.indexOf(version) !== index
    if (isTwice) return [{ severity: 'error', path: [...at, index], message: `"${version}" is named twice` }]
    if (MCP_VERSIONS.includes(version)) return []
    const message = `"${version}" is no revision that OpenShell 0.1.5 reads (${MCP_VERSIONS.join(', ')})`
    return [{ severity: 'error', path: [...at, index], message }]
  })
}
