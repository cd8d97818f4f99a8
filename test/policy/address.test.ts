import fc from 'fast-check'
import { expect, test } from 'vitest'
import {
  isAlwaysBlocked,
  isInternal,
  networkContains,
  overlapsAlwaysBlocked,
  parseAddress,
  parseNetwork,
} from '../../src/policy/match/address.ts'

function known<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('expected a value')
  return value
}

test.each([
  '',
  '1.2.3',
  '01.2.3.4',
  '1.2.3.4.5',
  '256.1.1.1',
  '0x7f.1',
  '2130706433',
  '[::1]',
  'fe80::1%eth0',
  ':::',
  'a.b',
])('%s is no address', (text) => {
  expect(parseAddress(text)).toBeUndefined()
})

test.each(['10.0.0.0/33', '10.0.0.0/', '10.0.0.0/-1', '::/129', '10.0.0.0/8/8', 'x/8'])(
  '%s is no network',
  (text) => {
    expect(parseNetwork(text)).toBeUndefined()
  },
)

test.each([
  ['127.0.0.1', true, true],
  ['127.255.0.9', true, true],
  ['0.0.0.0', true, true],
  ['0.0.0.1', false, false],
  ['169.254.169.254', true, true],
  ['::1', true, true],
  ['::', true, true],
  ['fe80::1', true, true],
  ['febf::1', true, true],
  ['::ffff:127.0.0.1', true, true],
  ['::ffff:7f00:1', true, true],
  ['::ffff:169.254.1.1', true, true],
  ['::ffff:10.0.0.1', false, true],
  ['10.1.2.3', false, true],
  ['172.16.0.1', false, true],
  ['172.32.0.1', false, false],
  ['192.168.1.1', false, true],
  ['100.64.0.1', false, true],
  ['100.128.0.1', false, false],
  ['192.0.0.8', false, true],
  ['198.18.0.1', false, true],
  ['198.20.0.1', false, false],
  ['203.0.113.7', false, true],
  ['255.255.255.255', false, true],
  ['fc00::1', false, true],
  ['fdff::1', false, true],
  ['fe00::1', false, false],
  ['2606:4700::1', false, false],
  ['93.184.216.34', false, false],
])('%s: always blocked %s, internal %s', (text, blocked, internal) => {
  const address = known(parseAddress(text))
  expect([isAlwaysBlocked(address), isInternal(address)]).toEqual([blocked, internal])
})

test.each([
  ['0.0.0.0/0', true],
  ['0.0.0.0/8', true],
  ['127.0.0.1', true],
  ['126.0.0.0/7', true],
  ['169.254.0.0/16', true],
  ['168.0.0.0/7', true],
  ['10.0.0.0/8', false],
  ['::/0', true],
  ['::1', true],
  ['fe80::/64', true],
  ['fc00::/7', false],
  ['::ffff:168.0.0.0/103', true],
  ['::ffff:10.0.0.0/104', false],
])('%s reaches a blocked range: %s', (text, expected) => {
  expect(overlapsAlwaysBlocked(known(parseNetwork(text)))).toBe(expected)
})

test('membership agrees with comparing the bits of the text', () => {
  const toBits = (octets: readonly number[]): string =>
    octets.map((octet) => octet.toString(2).padStart(8, '0')).join('')
  const octets = fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 4, maxLength: 4 })
  const near = fc.tuple(octets, fc.integer({ min: 0, max: 3 }), fc.integer({ min: 0, max: 255 }))
  fc.assert(
    fc.property(near, fc.integer({ min: 0, max: 32 }), ([base, index, value], prefix) => {
      const other = base.with(index, value)
      const network = known(parseNetwork(`${base.join('.')}/${prefix}`))
      const expected = toBits(base).slice(0, prefix) === toBits(other).slice(0, prefix)
      expect(networkContains(network, known(parseAddress(other.join('.'))))).toBe(expected)
    }),
  )
})

test('every spelling of an IPv6 address is the same address', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 0xffff }), { minLength: 8, maxLength: 8 }), (groups) => {
      const full = groups.map((group) => group.toString(16).padStart(4, '0')).join(':')
      const short = new URL(`http://[${full}]/`).hostname.slice(1, -1)
      const octets = groups.slice(6).flatMap((group) => [group >> 8, group & 0xff])
      const mixed = `${full.split(':').slice(0, 6).join(':')}:${octets.join('.')}`
      expect(parseAddress(short)).toEqual(parseAddress(full))
      expect(parseAddress(mixed)).toEqual(parseAddress(full))
      expect(known(parseAddress(full)).value).toBe(BigInt(`0x${full.replaceAll(':', '')}`))
    }),
  )
})
