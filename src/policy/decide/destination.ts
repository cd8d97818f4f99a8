// Decides whether a connection may go to its addresses. One mode applies, chosen in order (openshell.md 1.7).
import {
  type Address,
  isAlwaysBlocked,
  isInternal,
  isLinkLocal,
  type Network,
  networkContains,
  overlapsAlwaysBlocked,
  parseAddress,
  parseNetwork,
} from '../match/address.ts'
import type { EgressRequest } from './decision.ts'

const GATEWAY_ALIASES = ['host.openshell.internal', 'host.containers.internal', 'host.docker.internal']
const CONTROL_PLANE_PORTS = [2379, 2380, 6443, 10250, 10255]

export interface DestinationRules {
  /** The `allowed_ips` of the first endpoint that carries settings. */
  allowedIps: readonly string[]
  /** Whether a rule names the host without a wildcard. The address may then be private. */
  isDeclared: boolean
}

/** Returns the reason to refuse the destination; undefined when it may pass. */
export function refuseDestination(request: EgressRequest, rules: DestinationRules): string | undefined {
  const host = request.host.replace(/^\[(.*)\]$/, '$1')
  const literal = parseAddress(host)
  const addresses = request.addresses ?? (literal === undefined ? undefined : [host])
  const check = chooseCheck(request, rules, host, literal)
  if (typeof check === 'string') return check
  if (check.guardsPorts && CONTROL_PLANE_PORTS.includes(request.port)) {
    return `port ${request.port} belongs to a control plane`
  }
  if (addresses?.length === 0) return `${host} resolves to no address`
  for (const text of addresses ?? []) {
    const address = parseAddress(text)
    const reason = address === undefined ? 'is no address' : check.refuse(address)
    if (reason !== undefined) return `${host} resolves to ${text}, which ${reason}`
  }
  return undefined
}

interface Check {
  guardsPorts: boolean
  refuse: (address: Address) => string | undefined
}

function chooseCheck(
  { trustedGateway }: EgressRequest,
  { allowedIps, isDeclared }: DestinationRules,
  host: string,
  literal: Address | undefined,
): Check | string {
  const gateway = trustedGateway === undefined ? undefined : parseAddress(trustedGateway)
  if (gateway !== undefined && GATEWAY_ALIASES.includes(host.toLowerCase())) {
    return { guardsPorts: true, refuse: (address) => refuseGateway(address, gateway) }
  }
  if (allowedIps.length > 0) return allowedIpsCheck(allowedIps)
  if (literal !== undefined && !isAlwaysBlocked(literal)) {
    return allowedIpsCheck([host])
  }
  if (isDeclared) return { guardsPorts: true, refuse: refuseBlocked }
  return {
    guardsPorts: false,
    refuse: (address) => (isInternal(address) ? 'is not public (the rule has a wildcard host)' : undefined),
  }
}

function refuseBlocked(address: Address): string | undefined {
  return isAlwaysBlocked(address) ? 'is loopback, link-local or unspecified' : undefined
}

function allowedIpsCheck(allowedIps: readonly string[]): Check | string {
  const networks: Network[] = []
  for (const text of allowedIps) {
    const network = parseNetwork(text)
    if (network === undefined) return `allowed_ips holds "${text}", which is no address`
    if (overlapsAlwaysBlocked(network)) return `allowed_ips holds "${text}", which reaches a blocked range`
    networks.push(network)
  }
  const refuse = (address: Address): string | undefined => {
    const isListed = networks.some((network) => networkContains(network, address))
    return refuseBlocked(address) ?? (isListed ? undefined : 'is not in allowed_ips')
  }
  return { guardsPorts: true, refuse }
}

function refuseGateway(address: Address, gateway: Address): string | undefined {
  if (isMetadata(address)) return 'is a cloud metadata address'
  if (address.bits !== gateway.bits || address.value !== gateway.value)
    return 'is not the trusted host gateway'
  return isLinkLocal(address) ? undefined : 'is not link-local'
}

function isMetadata(address: Address): boolean {
  return METADATA.some(({ bits, value }) => bits === address.bits && value === address.value)
}

const METADATA = ['169.254.169.254', '::ffff:169.254.169.254'].flatMap((text) => parseAddress(text) ?? [])
