import { expect, test } from 'vitest'
import { threadAddress, threadOfAddress } from '../../src/console/browser/model/address.ts'
import { formatAge, formatBytes, formatCount } from '../../src/console/browser/model/format.ts'

test('numbers carry their unit', () => {
  expect([formatCount(1, 'line'), formatCount(1200, 'line')]).toEqual(['1 line', '1,200 lines'])
  expect([formatBytes(10), formatBytes(2048), formatBytes(3 * 1024 * 1024)]).toEqual([
    '10 B',
    '2 KiB',
    '3.0 MiB',
  ])
  expect([formatAge(0), formatAge(5 * 60_000), formatAge(3 * 3_600_000)]).toEqual([
    'now',
    '5 min ago',
    '3 h ago',
  ])
})

test.each(['plain', 'with space/and?#%', 'ünïcode'])(
  'thread %s is found again by its address',
  (threadId) => {
    expect(threadOfAddress(threadAddress(threadId))).toBe(threadId)
  },
)

test('an address that names no thread, or is broken, breaks nothing', () => {
  expect([threadOfAddress(''), threadOfAddress('#/'), threadOfAddress('#/100%')]).toEqual([
    undefined,
    undefined,
    '100%',
  ])
})
