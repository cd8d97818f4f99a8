import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { VARIABLES } from '../src/config.ts'

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
