// Policies of thousands of rules: what is compared does not grow with the pairs of rules, and neither does what is said.
import { expect, test } from 'vitest'
import { compileGlob } from '../../src/policy/match/glob.ts'
import { HostIndex } from '../../src/policy/match/host-index.ts'
import { hostSteps, languagesMeet } from '../../src/policy/match/overlap.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'

const COUNT = 1200
const times = (line: (index: number) => string): string =>
  Array.from({ length: COUNT }, (_, index) => line(index)).join('')

function problemsOf(rules: string) {
  const text = `version: 1\nnetwork_policies:\n${rules}`
  return parsePolicy(text, { file: 'p' }).problems
}

test('thousands of rules: hosts with wildcards, one host again and again, aliases, a warning each', () => {
  const problems = problemsOf(
    `  first: {endpoints: &e [{host: a.example.com, port: 443}], binaries: &b [{path: /x}]}\n${times(
      (n) =>
        `  w${n}: {endpoints: [{host: "*.w${n}.example.com", port: 443, tls: ${n % 2 ? 'skip' : '""'}}], binaries: []}\n` +
        `  a${n}: {endpoints: *e, binaries: *b}\n`,
    )}`,
  )
  expect(problems).toHaveLength(COUNT)
  expect(problems.at(-1)).toMatchObject({ line: 2 * COUNT + 2, message: 'no binaries: grants nobody' })
})

test('thousands of tools, paths and repeated keys', () => {
  const rules = times((n) => `{allow: {method: tools/call, tool: t${n}}}, `)
  const tools = `  r: {endpoints: [{host: a.example.com, port: 443, protocol: mcp, rules: [${rules}]}], binaries: [{path: /x}]}\n`
  expect(problemsOf(tools).filter(({ severity }) => severity === 'error')).toEqual([])
  const twice = problemsOf(times((n) => `  r${n % (COUNT - 1)}: {}\n`))
  expect(twice).toMatchObject([{ line: COUNT + 2, column: 3, message: 'Map keys must be unique' }])
})

test('where everything contradicts everything, the first pairs are named', () => {
  const problems = problemsOf(
    times(
      (n) =>
        `  r${n}: {endpoints: [{port: 443, allowed_ips: [10.${n >> 8}.${n & 255}.0/24]}], binaries: [{path: /x}]}\n`,
    ),
  )
  expect(problems).toHaveLength(1001)
  expect(problems[0]?.message).toMatch(/^overlaps with "r0" .* on port 443, but differs in allowed_ips/)
  expect(problems.at(-1)?.message).toBe('overlaps with others too; only the first 1000 such pairs are named')
})

test('the index finds exactly the hosts that can meet', () => {
  const parts = ['a', 'b', '*', '**', 'a*', '*b', 'ä']
  const names = ['', 'com', 'A.com', ...parts.flatMap((one) => parts.map((two) => `${one}.${two}.com`))]
  const index = new HostIndex(names)
  const steps = (name: string) => hostSteps(name === '' ? '**' : name.toLowerCase())
  for (const name of names) {
    const meeting = names.filter((other) => languagesMeet(steps(name), steps(other)))
    expect([...index.meeting(name, () => true)].sort(), name).toEqual(meeting.sort())
  }
  expect([...index.meeting('a.b.com', (other) => other === '*.b.com')]).toEqual(['*.b.com'])
})

test('of thousands of hosts the index looks at few', () => {
  const names = Array.from({ length: 4000 }, (_, n) => (n % 2 ? `*.w${n}.example.com` : `h${n}.example.com`))
  const index = new HostIndex(names)
  let looks = 0
  const isAsked = (): boolean => {
    looks += 1
    return true
  }
  for (const name of names) expect([...index.meeting(name, isAsked)]).toEqual([name])
  expect(looks).toBe(names.length)
})

test('the globs of a large policy stay compiled', () => {
  const first = compileGlob('*.first.example.com', '.')
  for (let n = 0; n < 4000; n += 1) compileGlob(`*.h${n}.example.com`, '.')
  expect(compileGlob('*.first.example.com', '.')).toBe(first)
})
