// IP addresses as OpenShell's destination check classifies them (openshell.md 1.7, core/net.rs).
import { isIPv4, isIPv6 } from 'node:net'

/** An IP address: `value` is its number, `bits` its width. */
export interface Address {
  bits: 32 | 128
  value: bigint
}

export interface Network extends Address {
  prefix: number
}

/** Parses strict textual forms only: no leading zeros, no zone, no brackets. Returns undefined for anything else. */
export function parseAddress(text: string): Address | undefined {
  if (isIPv4(text)) return { bits: 32, value: joinGroups(text.split('.').map(Number), 8n) }
  if (!isIPv6(text) || text.includes('%')) return undefined
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text)
  if (dotted?.[1] === undefined || dotted[2] === undefined) {
    return { bits: 128, value: joinGroups(expandGroups(text), 16n) }
  }
  const tail = joinGroups(dotted[2].split('.').map(Number), 8n)
  const spelled = `${dotted[1]}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`
  return { bits: 128, value: joinGroups(expandGroups(spelled), 16n) }
}

function expandGroups(text: string): number[] {
  const [head = '', tail] = text.split('::')
  const groups = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16))
  const left = groups(head)
  const right = groups(tail ?? '')
  return [...left, ...new Array<number>(8 - left.length - right.length).fill(0), ...right]
}

function joinGroups(groups: readonly number[], width: bigint): bigint {
  return groups.reduce((value, group) => (value << width) | BigInt(group), 0n)
}

/** Parses `10.0.0.0/8`, `fc00::/7` or a single address, else returns undefined. Host bits may be set, as in ipnet. */
export function parseNetwork(text: string): Network | undefined {
  const [base = '', prefixText, ...rest] = text.split('/')
  const address = parseAddress(base)
  if (address === undefined || rest.length > 0) return undefined
  if (prefixText === undefined) return { ...address, prefix: address.bits }
  const prefix = Number(prefixText)
  if (!/^\d{1,3}$/.test(prefixText) || prefix > address.bits) return undefined
  return { ...address, prefix }
}

export function networkContains(network: Network, address: Address): boolean {
  if (network.bits !== address.bits) return false
  const shift = BigInt(network.bits - network.prefix)
  return network.value >> shift === address.value >> shift
}

function overlaps(left: Network, right: Network): boolean {
  const [wide, narrow] = left.prefix <= right.prefix ? [left, right] : [right, left]
  return networkContains(wide, narrow)
}

const MAPPED: Network = network('::ffff:0:0/96')
const ALWAYS_BLOCKED = ['127.0.0.0/8', '169.254.0.0/16', '0.0.0.0', '::1', '::', 'fe80::/10'].map(network)
const INTERNAL = [
  '10.0.0.0/8',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '100.64.0.0/10',
  '192.0.0.0/24',
  '192.0.2.0/24',
  '198.18.0.0/15',
  '198.51.100.0/24',
  '203.0.113.0/24',
  '255.255.255.255',
  'fc00::/7',
].map(network)

function network(text: string): Network {
  const parsed = parseNetwork(text)
  if (parsed === undefined) throw new TypeError(`not a network: ${text}`)
  return parsed
}

function unmapped(address: Address): Address {
  return networkContains(MAPPED, address) ? { bits: 32, value: address.value & 0xffffffffn } : address
}

/** Whether the address is loopback, link-local or unspecified, also IPv4-mapped. No policy can allow these. */
export function isAlwaysBlocked(address: Address): boolean {
  const plain = unmapped(address)
  return ALWAYS_BLOCKED.some((blocked) => networkContains(blocked, plain))
}

/** Whether the address is not public. Wildcard hosts may not resolve to such an address. */
export function isInternal(address: Address): boolean {
  const plain = unmapped(address)
  return isAlwaysBlocked(address) || INTERNAL.some((internal) => networkContains(internal, plain))
}

/** Whether a network reaches into a blocked range. As an `allowed_ips` entry it refuses every connection. */
export function overlapsAlwaysBlocked(candidate: Network): boolean {
  return ALWAYS_BLOCKED.some(
    (blocked) => overlaps(candidate, blocked) || overlaps(candidate, toMapped(blocked)),
  )
}

function toMapped(plain: Network): Network {
  if (plain.bits === 128) return plain
  return { bits: 128, value: MAPPED.value | plain.value, prefix: plain.prefix + 96 }
}

export function isLinkLocal(address: Address): boolean {
  const plain = unmapped(address)
  return LINK_LOCAL.some((range) => networkContains(range, plain))
}

const LINK_LOCAL = ['169.254.0.0/16', 'fe80::/10'].map(network)
