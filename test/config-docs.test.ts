import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { loadConfig, VARIABLES } from '../src/config.ts'

const page = readFileSync('docs/configuration.md', 'utf8')

/** `A_B`, `_C` in one row means `A_B` and a variable that ends in `_C`. */
const isTold = (name: string): boolean =>
  page.includes(`\`${name}\``) ||
  [...page.matchAll(/`([A-Z_]+)`((?:, `_[A-Z_]+`)+)/g)].some(([, first = '', more = '']) =>
    [...more.matchAll(/`(_[A-Z_]+)`/g)].some(
      ([, end = '']) => name.endsWith(end) && first.startsWith(name.slice(0, -end.length)),
    ),
  )

/** The system's own, or explained with the model route. */
const ELSEWHERE = new Set(['HOME', 'CLAUDE_CONFIG_DIR'])

test.each(VARIABLES.filter((name) => !ELSEWHERE.has(name)))('docs/configuration.md has %s', (name) => {
  expect(isTold(name)).toBe(true)
})

const UNITS: Readonly<Record<string, number>> = { KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3 }
const { limits } = loadConfig({}, { appDirectory: '/', workingDirectory: process.cwd() })

test.each(
  [...(page.split('\n## Limits\n')[1] ?? '').matchAll(/^\| `([A-Z_]+)` \| (\d+)(?: ([KMG]iB))? \|/gm)]
    .map(([, variable = '', digits, unit = '']) => ({
      variable,
      limit: variable.toLowerCase().replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase()),
      written: Number(digits) * (UNITS[unit] ?? 1),
    }))
    .filter(({ limit }) => limit in limits),
)('docs/configuration.md has the default of $variable', ({ limit, written }) => {
  expect(Object.entries(limits)).toContainEqual([limit, written])
})
