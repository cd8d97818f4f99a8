import { readFileSync } from 'node:fs'
import { expect, test } from 'vitest'
import { ERRORS } from '../src/errors.ts'

const ROW = /^\| `([a-z_]+)` +\| (\d{3}) +\|/gm

test('docs/errors.md lists exactly the codes of the table, with their statuses', () => {
  const documented = [...readFileSync('docs/errors.md', 'utf8').matchAll(ROW)].map(([, code, status]) => [
    code,
    Number(status),
  ])
  expect(documented.length).toBeGreaterThan(30)
  expect(Object.fromEntries(documented)).toEqual(
    Object.fromEntries(Object.entries(ERRORS).map(([code, { status }]) => [code, status])),
  )
})
