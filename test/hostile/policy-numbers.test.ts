// Scalars that YAML readers take for different things: ours takes them as OpenShell's does (serde_yaml), in every field.
import { expect, test } from 'vitest'
import { parseDocument, Scalar } from 'yaml'
import { parsePolicy } from '../../src/policy/read/load.ts'
import { scalarKind } from '../../src/policy/read/scalar.ts'

const endpoint = (rest: string): string =>
  `version: 1\nnetwork_policies: {r: {endpoints: [{host: a.example.com, ${rest}}], binaries: [{path: /bin/a}]}}`

const middleware = (order: string): string =>
  `version: 1\nnetwork_middlewares: {m: {middleware: a, order: ${order}, endpoints: {include: [a.example.com]}}}`

/** A policy with the scalar in one field, and where its value is read back. */
const FIELDS: [name: string, policy: (scalar: string) => string, read: (policy: unknown) => unknown][] = [
  ['version', (scalar) => `version: ${scalar}`, (policy) => at(policy, 'version')],
  ['port', (scalar) => endpoint(`port: ${scalar}`), (policy) => at(policy, ...ENDPOINT, 'port')],
  ['ports', (scalar) => endpoint(`ports: [${scalar}]`), (policy) => at(policy, ...ENDPOINT, 'ports', 0)],
  [
    'graphql_max_body_bytes',
    (scalar) => endpoint(`port: 443, protocol: graphql, access: full, graphql_max_body_bytes: ${scalar}`),
    (policy) => at(policy, ...ENDPOINT, 'graphql_max_body_bytes'),
  ],
  [
    'json_rpc.max_body_bytes',
    (scalar) =>
      endpoint(
        `port: 443, protocol: json-rpc, rules: [{allow: {method: a}}], json_rpc: {max_body_bytes: ${scalar}}`,
      ),
    (policy) => at(policy, ...ENDPOINT, 'json_rpc', 'max_body_bytes'),
  ],
  ['order', (scalar) => middleware(scalar), (policy) => at(policy, 'network_middlewares', 'm', 'order')],
]
const ENDPOINT = ['network_policies', 'r', 'endpoints', 0]

function at(value: unknown, ...path: (string | number)[]): unknown {
  return path.reduce<unknown>(
    (inner, key) => (typeof inner === 'object' && inner !== null ? Reflect.get(inner, key) : undefined),
    value,
  )
}

const NUMBERS: [scalar: string, value: number | undefined][] = [
  ['443', 443],
  ['+443', 443],
  ['0x1bB', 443],
  ['+0x1bb', 443],
  ['0o673', 443],
  ['0b110111011', 443],
  ['0b1', 1],
  ['!!int 443', 443],
  ['01', undefined],
  ['+01', undefined],
  ['0443', undefined],
  ['00', undefined],
  ['0X1bb', undefined],
  ['0O17', undefined],
  ['0B1', undefined],
  ['0b2', undefined],
  ['0o8', undefined],
  ['0x', undefined],
  ['0x+1', undefined],
  ['1_000', undefined],
  ['1,000', undefined],
  ['1.0', undefined],
  ['443.', undefined],
  ['4e2', undefined],
  ['++1', undefined],
  ['+-1', undefined],
  ['-0x', undefined],
  ['"443"', undefined],
  ["'443'", undefined],
  ['true', undefined],
  ['.inf', undefined],
  ['7:23', undefined],
]

const CASES = FIELDS.flatMap(([name, policy, read]) =>
  // A reader that takes `a, b` in a flow for two values has not been asked this question.
  NUMBERS.filter(([scalar]) => name !== 'ports' || !scalar.includes(',')).map(
    ([scalar, value]) => [name, scalar, value, policy, read] as const,
  ),
)

test.each(CASES)('%s: %s is %s', (_name, scalar, value, policy, read) => {
  const parsed = parsePolicy(policy(scalar), { file: 'p' })
  expect(parsed.policy === undefined ? undefined : read(parsed.policy)).toBe(value)
})

test('a minus is a number where one may be, and nowhere else', () => {
  const order = (scalar: string): unknown => {
    const { policy } = parsePolicy(middleware(scalar), { file: 'p' })
    return policy?.network_middlewares['m']?.order
  }
  expect(['-1', '-0x10', '-0b11', '-01'].map(order)).toEqual([-1, -16, -3, undefined])
  expect(['-1', '-0'].map((scalar) => parsePolicy(`version: ${scalar}`, { file: 'p' }).policy)).toEqual([
    undefined,
    undefined,
  ])
})

test.each([
  ['true', true],
  ['True', true],
  ['FALSE', false],
  ['tRUE', undefined],
  ['yes', undefined],
  ['on', undefined],
  ['1', undefined],
  ['"true"', undefined],
])('include_workdir: %s is %s', (scalar, value) => {
  const { policy } = parsePolicy(`version: 1\nfilesystem_policy: {include_workdir: ${scalar}}`, { file: 'p' })
  expect(policy?.filesystem_policy?.include_workdir).toBe(value)
})

test('the untyped loader takes for text what serde does', () => {
  const host = (scalar: string): unknown => {
    const text = `version: 1\nnetwork_policies: {r: {endpoints: [{host: a.example.com, port: 443, path: ${scalar}}], binaries: []}}`
    return at(parsePolicy(text, { file: 'p', mode: 'file' }).policy, ...ENDPOINT, 'path')
  }
  // The default where it is no text, and a path has to begin with a slash.
  expect(['0b1', '12', '1.5', 'true'].map(host)).toEqual(['', '', '', ''])
  expect(['01', '1_000', '0X1'].map(host)).toEqual([undefined, undefined, undefined])
})

test.each([
  ['', 'null'],
  ['~', 'null'],
  ['Null', 'null'],
  ['nULL', 'text'],
  ['+.5', 'float'],
  ['5.', 'float'],
  ['1e3', 'float'],
  ['-.INF', 'float'],
  ['.NaN', 'float'],
  ['+.nan', 'text'],
  ['01.5', 'float'],
  ['-007', 'text'],
  ['1e', 'text'],
])('%s is %s', (source, kind) => {
  const node = parseDocument(`a: ${source}`).get('a', true)
  expect(node instanceof Scalar ? scalarKind(node) : 'null').toBe(kind)
})
