import { expect, test } from 'vitest'
import { threadAddress, threadOfAddress } from '../../src/console/browser/model/address.ts'
import {
  formatAge,
  formatBytes,
  formatContext,
  formatCost,
  formatCount,
  formatDuration,
  formatMoment,
  formatTokens,
} from '../../src/console/browser/model/format.ts'
import { languageOf, readFolder } from '../../src/console/browser/model/workspace-shapes.ts'

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

test('a time has its day where that is another one; a short while is not nothing', () => {
  const evening = new Date(2026, 10, 27, 23, 58).getTime()
  expect(formatMoment(evening + 60_000, evening)).toBe('23:59:00')
  expect(formatMoment(evening + 180_000, evening)).toBe('Sat 28 Nov, 00:01:00')
  expect([12, 240, 4210, 65_000, 7_800_000].map(formatDuration)).toEqual([
    '12 ms',
    '0.2 s',
    '4.2 s',
    '1 min 05 s',
    '2 h 10 min',
  ])
})

test('costs, tokens and context are short, and none reads as nothing', () => {
  expect([0, 0.004, 0.416].map(formatCost)).toEqual(['$0.00', '< $0.01', '$0.42'])
  expect([999, 1200, 200_000, 3_400_000].map(formatTokens)).toEqual(['999', '1.2k', '200k', '3.4M'])
  expect(formatContext({ tokens: 24_000, window: 200_000 })).toBe('12% of 200k context')
  expect(formatContext({ tokens: 24, window: 200_000 })).toBe('< 1% of 200k context')
  expect(formatContext({ tokens: 24_000, window: undefined })).toBe('24k tokens of context')
})

test('a file has the language of its ending, or of its name', () => {
  expect(['a/b.test.TS', 'Dockerfile', '.gitignore'].map(languageOf)).toEqual([
    'ts',
    'dockerfile',
    'gitignore',
  ])
})

test('a folder begins with its folders, and what git keeps for itself is not shown', () => {
  const items = ['b.ts', '.git', '.gitignore', 'src'].map((name) => ({ name, isDir: name === 'src' }))
  expect(readFolder({ items }).entries.map(({ name }) => name)).toEqual(['src', '.gitignore', 'b.ts'])
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
