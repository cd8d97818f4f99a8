// Facts of the kernel about this process and its default gateways.
import { existsSync, readFileSync } from 'node:fs'

/** NET_ADMIN, SETUID, SETGID, SETPCAP and DAC_READ_SEARCH: root's entry has them, and no other user can regain them. */
const ENTRY_CAPABILITIES = [2, 6, 7, 8, 12].reduce((mask, bit) => mask | (1n << BigInt(bit)), 0n)

const ROUTES_6 = '/proc/net/ipv6_route'

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

/** Returns the addresses of the default gateways: of IPv6 with the interface, which a link-local one needs. */
export function defaultGateways(
  routes = readFileSync('/proc/net/route', 'utf8'),
  routes6 = existsSync(ROUTES_6) ? readFileSync(ROUTES_6, 'utf8') : '',
): string[] {
  const rows = (text: string): string[][] => text.split('\n').map((line) => line.trim().split(/\s+/))
  const gateways = rows(routes)
    .filter(([, destination, gateway]) => destination === '00000000' && gateway !== '00000000')
    .map(([, , gateway = '']) => Buffer.from(gateway, 'hex').reverse().join('.'))
  const gateways6 = rows(routes6)
    .filter(([to = '', bits, , , gateway = '']) => /^0+$/.test(to) && bits === '00' && !/^0*$/.test(gateway))
    .map(([, , , , gateway = '', ...rest]) => {
      const { hostname } = new URL(`http://[${gateway.match(/.{4}/g)?.join(':')}]`)
      return `${hostname.slice(1, -1)}%${rest.at(-1)}`
    })
  return [...new Set([...gateways, ...gateways6])]
}

/** Whether a read-only mount is at the path, as whose it may be. What lies below another mount can be moved with it. */
export function isReadOnlyMount(
  path: string,
  mounts = readFileSync('/proc/self/mountinfo', 'utf8'),
): boolean {
  const at = mounts
    .split('\n')
    .map((line) => line.split(' '))
    .findLast(([, , , , target]) => target === path)
  return at?.[5]?.split(',').includes('ro') === true
}

/** Whether a line of /etc/hosts names the host. */
export function isListed(host: string, hosts: string): boolean {
  return hosts.split('\n').some((line) => {
    const [words = ''] = line.split('#', 1)
    return words.toLowerCase().trim().split(/\s+/).slice(1).includes(host.toLowerCase())
  })
}
