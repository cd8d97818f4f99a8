// What a kernel answers to who is locked in, by IPv4 and IPv6: two network namespaces, the second one the first one's router.
import { execFileSync } from 'node:child_process'
import { afterAll, beforeAll, expect, test } from 'vitest'

const [INSIDE, ROUTER] = [`agui-${process.pid}-in`, `agui-${process.pid}-out`]

const SETUP = `
  ip netns add ${INSIDE}; ip netns add ${ROUTER}
  ip link add eth9 netns ${INSIDE} type veth peer name eth9 netns ${ROUTER}
  number=2
  for name in ${INSIDE} ${ROUTER}; do
    ip -n $name link set eth9 addrgenmode none
    for net in 10.99.0 fd99: fe80:; do
      case $net in
        10.*) ip -n $name addr add $net.$number/24 dev eth9;;
        *) ip -n $name addr add $net:$number/64 dev eth9 nodad;;
      esac
    done
    ip -n $name link set lo up; ip -n $name link set eth9 up
    number=1
  done
  ip -n ${INSIDE} route add default via 10.99.0.1
  ip -n ${INSIDE} route add default via fd99::1 dev eth9 metric 1
  ip -n ${INSIDE} route add default via fe80::1 dev eth9 metric 2`

const PROGRAM = `
  import { execFileSync } from 'node:child_process'
  import { datagramLeakOf, leakOf } from './src/devcontainer/dial.ts'
  import { egressRules } from './src/devcontainer/egress-rules.ts'
  import { defaultGateways } from './src/devcontainer/machine.ts'
  const { signal } = new AbortController()
  const gateways = defaultGateways()
  const ofIpv4 = egressRules().replaceAll('inet', 'ip').replaceAll('icmpx', 'icmp')
  for (const rules of [egressRules(), ofIpv4]) {
    execFileSync('/usr/sbin/nft', ['-f', '-'], { input: 'flush ruleset;' + rules })
    const dialled = gateways.map(async (host) => [host, await leakOf(host, 443, signal), await datagramLeakOf(host, 443, signal)])
    console.log(JSON.stringify(await Promise.all(dialled)))
  }`

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' })

const isRoot = process.getuid?.() === 0
// A skip is a failure in CI: there it runs.
const skipped = !isRoot && process.env['CI'] !== 'true'

beforeAll(() => {
  if (!skipped) execFileSync('bash', ['-euc', SETUP])
})
afterAll(() => {
  if (skipped) return
  for (const name of [INSIDE, ROUTER]) ip('netns', 'delete', name)
})

test.skipIf(skipped)(
  'a router is refused under the rules, and answers by IPv6 where they are of IPv4 alone',
  () => {
    const node = [process.execPath, '--import', 'tsx', '--input-type=module', '--eval', PROGRAM]
    const [locked = '', half = ''] = ip('netns', 'exec', INSIDE, ...node).split('\n')
    const none = [null, null]
    const answer = ['it answers (ECONNREFUSED)', 'it answers (ECONNREFUSED)']
    const gateways = ['10.99.0.1', 'fd99::1%eth9', 'fe80::1%eth9']
    expect(JSON.parse(locked)).toEqual(gateways.map((host) => [host, ...none]))
    expect(JSON.parse(half)).toEqual([
      ['10.99.0.1', ...none],
      ['fd99::1%eth9', ...answer],
      ['fe80::1%eth9', ...answer],
    ])
  },
)
