// Two endpoints that can admit the same request must agree on everything a connection has only once; one
// conflict voids the whole policy (openshell.md 1.4, policy/ambiguity.rs). Typed loader only.

import { GlobError } from '../match/glob.ts'
import { HostIndex } from '../match/host-index.ts'
import { languagesMeet, pathSteps } from '../match/overlap.ts'
import { pathSpecificity } from '../match/selector.ts'
import type { Finding } from './document.ts'
import {
  endpointLabel,
  hasExtendedConfig,
  hasGraphqlPolicy,
  hasStrictToolNames,
  isTcp,
  jsonRpcBodyLimit,
  portsOf,
} from './endpoint.ts'
import type { Endpoint } from './schema.ts'
import type { EndpointSite } from './site.ts'

const BODY_LIMIT_DEFAULT = 65_536

/** Upper bound of the findings: where everything contradicts everything, each pair of endpoints would be one. */
const FINDINGS_MAX = 1000

/** An endpoint with what is compared of it. */
interface Compared {
  site: EndpointSite
  index: number
  endpoint: Endpoint
  ports: readonly number[]
  connection: Settings
  selectsPipeline: boolean
  specificity: number
  /** Everything that is compared but hosts, ports and paths. Endpoints of one signature have no conflict. */
  signature: string
}

/**
 * Finds the pairs of endpoints that contradict each other. The later endpoint of a pair carries the finding. Only those
 * are compared whose hosts can meet and whose settings differ: of thousands of endpoints these are few.
 */
export function findAmbiguities(sites: readonly EndpointSite[]): Finding[] {
  const all = sites.map(toCompared)
  const groups = groupByHost(all)
  const hosts = new HostIndex(groups.keys())
  const findings: Finding[] = []
  for (const right of all) {
    const { signature, site, endpoint } = right
    const hasRivals = (host: string): boolean => {
      const group = groups.get(host)
      return group !== undefined && (group.size > 1 || !group.has(signature))
    }
    const rivals: { index: number; message: string }[] = []
    for (const host of hosts.meeting(endpoint.host, hasRivals)) {
      for (const [other, lefts] of groups.get(host) ?? []) {
        if (other === signature) continue
        for (const left of lefts) {
          if (left.index >= right.index) break
          const message = conflictBetween(left, right)
          if (message !== undefined) rivals.push({ index: left.index, message })
        }
      }
    }
    rivals.sort((one, other) => one.index - other.index)
    for (const { message } of rivals) {
      if (findings.length < FINDINGS_MAX) findings.push({ severity: 'error', path: site.path, message })
      else return [...findings, { severity: 'error', path: site.path, message: MORE }]
    }
  }
  return findings
}

const MORE = `overlaps with others too; only the first ${FINDINGS_MAX} such pairs are named`

function toCompared(site: EndpointSite, index: number): Compared {
  const { endpoint } = site
  const connection = connectionSettings(endpoint)
  const selectsPipeline = hasExtendedConfig(endpoint) || endpoint.credential_binding !== undefined
  return {
    ...{ site, index, endpoint, connection, selectsPipeline },
    ports: portsOf(endpoint),
    specificity: pathSpecificity(endpoint.path),
    signature: JSON.stringify([connection, selectsPipeline && requestSettings(endpoint, endpoint)]),
  }
}

/** Groups by host, and then by signature. */
function groupByHost(all: readonly Compared[]): Map<string, Map<string, Compared[]>> {
  const groups = new Map<string, Map<string, Compared[]>>()
  for (const each of all) {
    const { host } = each.endpoint
    const group = groups.get(host) ?? new Map<string, Compared[]>()
    groups.set(host, group)
    const same = group.get(each.signature)
    if (same === undefined) group.set(each.signature, [each])
    else same.push(each)
  }
  return groups
}

function conflictBetween(left: Compared, right: Compared): string | undefined {
  const ports = left.ports.filter((port) => right.ports.includes(port))
  if (ports.length === 0) return undefined
  const conflicts = conflictsOf(left, right)
  if (conflicts.length === 0) return undefined
  const other = `"${left.site.rule}" ${endpointLabel(left.endpoint)}`
  return `overlaps with ${other} on port ${ports.join(', ')}, but differs in ${conflicts.join(', ')}`
}

function conflictsOf(left: Compared, right: Compared): string[] {
  const conflicts = differences(left.connection, right.connection)
  const compete =
    left.selectsPipeline &&
    right.selectsPipeline &&
    left.specificity === right.specificity &&
    pathsOverlap(left.endpoint.path, right.endpoint.path)
  if (!compete) return conflicts
  const settings = requestSettings(left.endpoint, right.endpoint)
  return [...conflicts, ...differences(settings, requestSettings(right.endpoint, left.endpoint))]
}

type Settings = Record<string, string | number | boolean>

function differences(left: Settings, right: Settings): string[] {
  return Object.entries(left).flatMap(([name, value]) =>
    value === right[name] ? [] : [`${name} (${value} against ${right[name]})`],
  )
}

function connectionSettings(endpoint: Endpoint): Settings {
  const addresses = new Set(endpoint.allowed_ips.map((text) => text.trim().toLowerCase()))
  return {
    'protocol tcp': isTcp(endpoint),
    tls: endpoint.tls.toLowerCase() === 'skip' ? 'skip' : 'auto',
    allowed_ips: `[${[...addresses].sort().join(', ')}]`,
  }
}

/** Returns the settings to compare. They depend on the other side: body limits count only within one protocol. */
function requestSettings(endpoint: Endpoint, other: Endpoint): Settings {
  const protocol = endpoint.protocol.toLowerCase()
  const isSame = protocol === other.protocol.toLowerCase()
  const settings: Settings = {
    protocol: isTcp(endpoint) ? '' : protocol,
    enforcement: endpoint.enforcement.toLowerCase() === 'enforce' ? 'enforce' : 'audit',
    allow_encoded_slash: endpoint.allow_encoded_slash,
    websocket_credential_rewrite: endpoint.websocket_credential_rewrite,
    request_body_credential_rewrite: endpoint.request_body_credential_rewrite,
    credential_signing: endpoint.credential_signing,
    signing_service: endpoint.signing_service,
    signing_region: endpoint.signing_region,
    'credential_binding.provider': endpoint.credential_binding?.provider ?? '',
  }
  if (isSame && protocol === 'websocket') settings['GraphQL rules'] = hasGraphqlPolicy(endpoint)
  if (isSame && protocol === 'graphql') {
    settings['graphql_max_body_bytes'] = endpoint.graphql_max_body_bytes || BODY_LIMIT_DEFAULT
  }
  if (isSame && (protocol === 'json-rpc' || protocol === 'mcp')) {
    settings['max_body_bytes'] = jsonRpcBodyLimit(endpoint) || BODY_LIMIT_DEFAULT
  }
  if (isSame && protocol === 'mcp') settings['mcp.strict_tool_names'] = hasStrictToolNames(endpoint)
  return settings
}

const MATCHES_ALL = ['', '**', '/**']

function pathsOverlap(left: string, right: string): boolean {
  if (MATCHES_ALL.includes(left) || MATCHES_ALL.includes(right)) return true
  try {
    return languagesMeet(pathSteps(left), pathSteps(right))
  } catch (error) {
    // An unreadable path may match anything.
    if (error instanceof GlobError) return true
    throw error
  }
}
