// Facts of the kernel about this process and its default gateways.
import { readFileSync } from 'node:fs'

/** NET_ADMIN, SETUID, SETGID, SETPCAP and DAC_READ_SEARCH: root's entry has them, and no other user can regain them. */
const ENTRY_CAPABILITIES = [2, 6, 7, 8, 12].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n)

/** Returns the reasons why this process could gain rights. Empty when it cannot. */
export function powersOf(status = readFileSync('/proc/self/status', 'utf8')): string[] {
  const field = (name: string): string => new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(status)?.[1] ?? ''
  const problems: string[] = []
  for (const name of ['CapInh', 'CapPrm', 'CapEff', 'CapAmb']) {
    if (!/^0+$/.test(field(name))) problems.push(`this user has capabilities (${name} ${field(name)})`)
  }
  const bounding = field('CapBnd')
  if (bounding === '' || (BigInt(`0x${bounding}`) & ~ENTRY_CAPABILITIES) !== 0n)
    problems.push(`the container has more capabilities than its entry needs (CapBnd ${bounding})`)
  if (field('NoNewPrivs') !== '1') problems.push('a program may give more rights (NoNewPrivs is not 1)')
  return problems
}

/** Returns the addresses of the IPv4 default gateways. */
export function defaultGateways(routes = readFileSync('/proc/net/route', 'utf8')): string[] {
  return routes
    .split('\n')
    .map((line) => line.split('\t'))
    .filter(([, destination, gateway]) => destination === '00000000' && gateway !== '00000000')
    .map(([, , gateway = '']) =>
      (gateway.match(/../g) ?? [])
        .reverse()
        .map((byte) => Number.parseInt(byte, 16))
        .join('.'),
    )
}
