// Two endpoints that can admit the same request must agree on everything a connection has only once; one
// conflict voids the whole policy (openshell.md 1.4, policy/ambiguity.rs). Typed loader only.

import { GlobError } from '../match/glob.ts'
import { parseSelector, pathSpecificity, type SelectorToken } from '../match/selector.ts'
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

/** Compares every pair once. The later endpoint of a pair carries the finding. */
export function findAmbiguities(sites: readonly EndpointSite[]): Finding[] {
  return sites.flatMap((right, index) =>
    sites.slice(0, index).flatMap((left): Finding[] => {
      // The hosts come first: of a thousand endpoints most pairs differ in them.
      if (!hostsOverlap(left.endpoint.host, right.endpoint.host)) return []
      const ports = portsOf(left.endpoint).filter((port) => portsOf(right.endpoint).includes(port))
      if (ports.length === 0) return []
      const conflicts = conflictsOf(left.endpoint, right.endpoint)
      if (conflicts.length === 0) return []
      const other = `"${left.rule}" ${endpointLabel(left.endpoint)}`
      const message = `overlaps with ${other} on port ${ports.join(', ')}, but differs in ${conflicts.join(', ')}`
      return [{ severity: 'error', path: right.path, message }]
    }),
  )
}

function conflictsOf(left: Endpoint, right: Endpoint): string[] {
  const conflicts = differences(connectionSettings(left), connectionSettings(right))
  const compete =
    selectsPipeline(left) &&
    selectsPipeline(right) &&
    pathsOverlap(left.path, right.path) &&
    pathSpecificity(left.path) === pathSpecificity(right.path)
  if (!compete) return conflicts
  return [...conflicts, ...differences(requestSettings(left, right), requestSettings(right, left))]
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

const selectsPipeline = (endpoint: Endpoint): boolean =>
  hasExtendedConfig(endpoint) || endpoint.credential_binding !== undefined

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

function hostsOverlap(left: string, right: string): boolean {
  if (left === '' || right === '') return true
  const [a, b] = [left.toLowerCase(), right.toLowerCase()]
  if (!a.includes('*') && !b.includes('*')) return a === b
  return languagesMeet(hostSteps(a), hostSteps(b))
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

/** One step of a pattern: the code points it takes, once or any number of times. */
interface Step {
  isStar: boolean
  ranges: readonly Range[]
}
type Range = readonly [from: number, to: number]

const CODE_POINT_MAX = 0x10ffff
const EVERY: Range = [0, CODE_POINT_MAX]

function hostSteps(pattern: string): Step[] {
  return (pattern.match(/\*+|[^*]/gu) ?? []).map((part): Step => {
    if (part === '*') return { isStar: true, ranges: complement([[0x2e, 0x2e]]) }
    return part.startsWith('*')
      ? { isStar: true, ranges: [EVERY] }
      : { isStar: false, ranges: [rangeOf(part)] }
  })
}

function pathSteps(pattern: string): Step[] {
  return parseSelector(pattern).map((token: SelectorToken): Step => {
    if (token.kind === 'char') return { isStar: false, ranges: [rangeOf(token.char)] }
    if (token.kind !== 'class') return { isStar: token.kind !== 'any-char', ranges: [EVERY] }
    const ranges = token.ranges.map(([from, to]): Range => [codePoint(from), codePoint(to)])
    return { isStar: false, ranges: token.negated ? complement(ranges) : ranges }
  })
}

const codePoint = (char: string): number => char.codePointAt(0) ?? 0

const rangeOf = (char: string): Range => [codePoint(char), codePoint(char)]

function complement(ranges: readonly Range[]): Range[] {
  const gaps: Range[] = []
  let next = 0
  for (const [from, to] of [...ranges].sort(([a], [b]) => a - b)) {
    if (from > next) gaps.push([next, from - 1])
    next = Math.max(next, to + 1)
  }
  return next > CODE_POINT_MAX ? gaps : [...gaps, [next, CODE_POINT_MAX]]
}

/** Whether one text matches both patterns. The walk over pairs of positions is bounded by their product. */
function languagesMeet(left: readonly Step[], right: readonly Step[]): boolean {
  const pending: [number, number][] = [[0, 0]]
  const seen = new Set<number>()
  for (let pair = pending.pop(); pair !== undefined; pair = pending.pop()) {
    const [i, j] = pair
    const key = i * (right.length + 1) + j
    if (seen.has(key)) continue
    seen.add(key)
    if (i === left.length && j === right.length) return true
    const a = left[i]
    const b = right[j]
    if (a?.isStar === true) pending.push([i + 1, j])
    if (b?.isStar === true) pending.push([i, j + 1])
    if (a === undefined || b === undefined || !shareCharacter(a, b)) continue
    pending.push([a.isStar ? i : i + 1, b.isStar ? j : j + 1])
  }
  return false
}

function shareCharacter(left: Step, right: Step): boolean {
  return left.ranges.some(([from, to]) => right.ranges.some(([start, end]) => from <= end && start <= to))
}
