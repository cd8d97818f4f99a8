// Judges one outgoing connection or request by the network rules (openshell.md 1.5 to 1.7).

import { compileGlob, GlobError } from '../match/glob.ts'
import { hasExtendedConfig, l7Protocol, portsOf } from '../read/endpoint.ts'
import type { Endpoint, NetworkRule, Policy } from '../read/schema.ts'
import type { Decision, EgressRequest } from './decision.ts'
import { refuseDestination } from './destination.ts'
import { decideInference, isInference } from './inference.ts'
import { judgeRequest } from './l7.ts'

const UNKNOWN_BINARY = 'the binary is not known: any that the rule lists counts'

/**
 * Decides in OpenShell's order: inference.local, binary integrity, rules, destination, TLS, request. A caller that
 * cannot know the binary leaves it out. The reason then says that any listed binary counted.
 */
export function decideEgress(policy: Policy, request: EgressRequest): Decision {
  if (isInference(request)) return decideInference(request)
  const { hash } = request
  if (hash !== undefined && hash.first !== hash.now) {
    return {
      verdict: 'deny',
      stage: 'l4',
      reason: `${request.binary ?? 'the binary'} changed since first used`,
    }
  }
  try {
    const decision = decideByRules(policy, request)
    const isGuess = request.binary === undefined && decision.rule !== undefined
    return isGuess ? { ...decision, reason: `${decision.reason} (${UNKNOWN_BINARY})` } : decision
  } catch (error) {
    if (!(error instanceof GlobError)) throw error
    const stage = request.method === undefined ? 'l4' : 'l7'
    return { verdict: 'deny', stage, reason: `the policy holds a malformed glob: ${error.message}` }
  }
}

function decideByRules(policy: Policy, request: EgressRequest): Decision {
  const rules = Object.entries(policy.network_policies).sort(([a], [b]) => (a < b ? -1 : 1))
  const candidates = rules.flatMap(([name, rule]) => {
    const endpoints = rule.endpoints.filter((endpoint) => endpointMatches(endpoint, request))
    return endpoints.length > 0 ? [{ name, rule, endpoints }] : []
  })
  const matched = candidates.filter(({ rule }) => binaryMatches(rule, request))
  const first = matched[0]
  if (first === undefined) return denyConnection(request, rules.length, candidates)

  const endpoints = matched.flatMap((match) => match.endpoints)
  const configured = endpoints.filter(hasExtendedConfig)
  const refusal = refuseDestination(request, {
    allowedIps: configured[0]?.allowed_ips ?? [],
    isDeclared: endpoints.some(({ host }) => !host.includes('*') && equalsIgnoringCase(host, request.host)),
  })
  const rule = first.name
  if (refusal !== undefined) return { verdict: 'deny', stage: 'ssrf', rule, reason: refusal }

  const tls = configured[0]?.tls === 'skip' ? 'skip' : 'terminate'
  const inspected = configured.filter((endpoint) => l7Protocol(endpoint) !== undefined)
  if (request.method !== undefined && (tls === 'terminate' || request.transport === 'plain-http')) {
    return judgeRequest(matched, inspected, { ...request, method: request.method })
  }
  const reason = `${request.host}:${request.port} is allowed for ${describeBinary(request)}`
  return {
    verdict: 'allow',
    stage: 'l4',
    rule,
    reason,
    tls,
    inspect: tls === 'terminate' && inspected.length > 0,
  }
}

function denyConnection(
  request: EgressRequest,
  ruleCount: number,
  candidates: readonly { name: string }[],
): Decision {
  const target = `${request.host}:${request.port}`
  if (ruleCount === 0) {
    return { verdict: 'deny', stage: 'l4', reason: `${target}: the policy allows no network connections` }
  }
  const first = candidates[0]
  if (first === undefined)
    return { verdict: 'deny', stage: 'l4', reason: `${target} is not allowed by any rule` }
  const names = candidates.map(({ name }) => `"${name}"`).join(', ')
  const reason = `${target} is allowed by ${names}, but not for ${describeBinary(request)}`
  return { verdict: 'deny', stage: 'l4', rule: first.name, reason }
}

function describeBinary({ binary, ancestors = [] }: EgressRequest): string {
  if (binary === undefined) return 'any binary'
  return ancestors.length === 0 ? binary : `${binary} (started by ${ancestors.join(', ')})`
}

function endpointMatches(endpoint: Endpoint, { host, port }: EgressRequest): boolean {
  const admitsPort = portsOf(endpoint).includes(port)
  // A malformed host glob is an error for every connection, so it is evaluated before the port.
  if (endpoint.host.includes('*')) {
    return compileGlob(endpoint.host.toLowerCase(), '.').matches(host.toLowerCase()) && admitsPort
  }
  if (endpoint.host === '') return endpoint.allowed_ips.length > 0 && admitsPort
  return equalsIgnoringCase(endpoint.host, host) && admitsPort
}

function equalsIgnoringCase(left: string, right: string): boolean {
  return left.toLowerCase() === right.toLowerCase()
}

/** Whether the rule lists the binary or an ancestor. Only a `*` makes a path a glob. An empty list grants nobody. */
function binaryMatches(rule: NetworkRule, { binary, ancestors = [] }: EgressRequest): boolean {
  if (binary === undefined) return rule.binaries.length > 0
  const paths = [binary, ...ancestors]
  return rule.binaries
    .map(({ path }) => {
      if (!path.includes('*')) return paths.includes(path)
      const glob = compileGlob(path, '/')
      return paths.some((candidate) => glob.matches(candidate))
    })
    .includes(true)
}
