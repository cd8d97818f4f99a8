import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import type { PolicyMode } from '../../src/policy/read/fields.ts'
import { formatProblem, loadPolicy, parsePolicy } from '../../src/policy/read/load.ts'

const problemsOf = (text: string, mode: PolicyMode = 'typed'): string[] =>
  parsePolicy(text, { file: 'p', mode }).problems.map(formatProblem)

/** The first endpoint of rule `r`, written at line 5, column 9. */
const withEndpoint = (endpoint: string): string =>
  `version: 1\nnetwork_policies:\n  r:\n    endpoints:\n      - ${endpoint}\n    binaries: [{ path: /usr/bin/git }]\n`
const REST = 'host: a.example.com, port: 443, protocol: rest'

describe('YAML itself', () => {
  test.each([
    ['a: [', /^p:1:5: .*flow/i],
    ['version: 1\nversion: 2', /^p:2:1: .*unique/],
    ['version: 1\n---\nversion: 1', /^p:2:1: .*document/i],
    ['', /^p:1:1: must be a map$|^p:1:1: version is required$/],
    ['- 1', /^p:1:1: must be a map$/],
    ['version: *nowhere', /^p:1:10: the alias has no anchor|unresolved alias/i],
    ['version: 1\nnetwork_policies: {__proto__: {}}', /^p:2:20: __proto__ cannot be a key$/],
    ['version: 1\nnetwork_policies: {[1]: {}}', /^p:2:20: this cannot be a key$/],
    ['version: 1\nnetwork_policies: &a {r: *a}', /nested too deeply$/],
    // Each ends a line for OpenShell: what we take for the rest of a comment would be a key.
    ...['\u2028', '\u2029', '\u0085'].map((end): [string, RegExp] => [
      `version: 1 # a${end}network_policies: {}`,
      /^p:1:15: the character U\+(2028|2029|0085) cannot be in a policy$/,
    ]),
    ...['\0', '\x07', '\f', '\x7f', '\x80', '\ufffe'].map((control): [string, RegExp] => [
      `version: 1\n# ${control}`,
      /^p:2:3: the character U\+[0-9A-F]{4} cannot be in a policy$/,
    ]),
    [`version: ${'['.repeat(20_000)}`, /call stack|nested too deeply/],
  ])('%# is refused with its place', (text, expected) => {
    expect(problemsOf(text)[0]).toMatch(expected)
  })

  test('aliases that multiply are cut off', () => {
    const levels = Array.from({ length: 30 }, (_, n) => `  - &l${n + 1} [*l${n}, *l${n}]`).join('\n')
    expect(problemsOf(`version: 1\nnetwork_policies:\n  - &l0 [x]\n${levels}`)[0]).toContain(
      'too many values',
    )
  })

  test('an alias stands for what it names, and its problems are found there', () => {
    const text = 'version: 1\nfilesystem_policy: {read_only: &x [/usr, usr], read_write: *x}'
    expect(problemsOf(text)).toContain('p:2:42: path must be absolute: "usr"')
  })

  test('a string may be written as any plain scalar, a number not as a string', () => {
    const { policy } = parsePolicy('version: 0x1\nprocess: {run_as_user: 1000, run_as_group: "007"}', {
      file: 'p',
    })
    expect(policy).toMatchObject({ version: 1, process: { run_as_user: '1000', run_as_group: '007' } })
    expect(problemsOf('version: "1"')).toHaveLength(1)
    expect(problemsOf('version: 1.0')).toHaveLength(1)
  })

  test('an empty list or map may be left blank, but not be called null', () => {
    expect(
      problemsOf('version: 1\nnetwork_policies:\nfilesystem_policy:\n  read_only:\nlandlock: null'),
    ).toEqual([])
    expect(problemsOf('version: 1\nnetwork_policies: null')).toEqual([
      'p:2:19: network_policies must be a map',
    ])
  })
})

describe('file mode', () => {
  test('unknown keys and wrong types pass, and defaults take their place', () => {
    const text =
      'version: x\nbogus: 1\nfilesystem_policy: {read_only: [/usr, 5]}\nprocess: {run_as_user: 1000}'
    const { policy, problems } = parsePolicy(text, { file: 'p', mode: 'file' })
    expect(problems).toEqual([])
    expect(policy).toMatchObject({
      version: 1,
      filesystem_policy: { include_workdir: true, read_only: ['/usr'] },
      process: { run_as_user: '' },
    })
  })

  test.each([
    [`{ ${REST}, access: full, rules: [] }`, 'rules must not be empty'],
    [`{ ${REST}, access: full, deny_rules: [] }`, 'deny_rules must not be empty'],
    [`{ ${REST}, access: full, graphql_max_body_bytes: 0 }`, 'must be a positive integer'],
    [
      '{ host: a.example.com, port: 1, protocol: graphql, rules: [{allow: {operation_type: query, fields: []}}] }',
      'fields must not be empty',
    ],
    [`{ ${REST}, access: full, mcp: {bogus: true} }`, 'unknown key "bogus"'],
    ['{ host: [a], port: 1 }', 'host must be a string'],
    [
      `{ ${REST}, access: full, deny_rules: [{ method: GET, path: /, query: { a: 5 } }] }`,
      'a must be a glob string',
    ],
    [`{ ${REST}, access: full, deny_rules: [5] }`, 'must be a map'],
  ])('%s is refused: %s', (endpoint, reason) => {
    expect(problemsOf(withEndpoint(endpoint), 'file').join('\n')).toContain(reason)
  })

  test.each([
    `{ ${REST}, rules: [{allow: {method: GET, path: /, query: {a: {glob: b}}}}] }`,
    '{ host: a.example.com, port: 1, protocol: graphql, rules: [{allow: {operation_type: "*"}}] }',
    '{ host: a.example.com, port: 1, protocol: websocket, rules: [{allow: {operation_type: query}}] }',
  ])('%s passes here only', (endpoint) => {
    expect(problemsOf(withEndpoint(endpoint), 'file')).toEqual([])
    expect(problemsOf(withEndpoint(endpoint))).not.toEqual([])
  })
})

test('paths are counted and measured', () => {
  const many = Array.from({ length: 257 }, (_, n) => `/p${n}`).join(', ')
  expect(problemsOf(`version: 1\nfilesystem_policy: {read_only: [${many}]}`)[0]).toContain(
    'too many paths (257',
  )
  expect(problemsOf(`version: 1\nfilesystem_policy: {read_only: [/${'é'.repeat(2048)}]}`)[0]).toContain(
    '4097 bytes',
  )
})

test('a compatibility that is no word of OpenShell is warned about', () => {
  expect(problemsOf('version: 1\nlandlock: {compatibility: strict}')).toEqual([
    'p:2:27: warning: "strict" means best_effort; only hard_requirement is strict; OpenShell 0.1.0 and newer refuse it',
  ])
})

describe('loadPolicy', () => {
  const directory = mkdtempSync(join(tmpdir(), 'policy-'))
  afterAll(() => rmSync(directory, { recursive: true }))

  test('returns the policy, warnings or not', async () => {
    const file = join(directory, 'ok.yaml')
    writeFileSync(file, 'version: 2')
    await expect(loadPolicy(file)).resolves.toMatchObject({ version: 2, network_policies: {} })
  })

  test('throws a PolicyError with every problem and its place', async () => {
    const file = join(directory, 'bad.yaml')
    writeFileSync(file, 'version: 1\nbogus: 1\nprocess: {user: x}')
    await expect(loadPolicy(file)).rejects.toMatchObject({
      name: 'PolicyError',
      message: expect.stringMatching(
        /bad\.yaml:2:1: unknown key "bogus".*\n.*bad\.yaml:3:11: unknown key "user"/,
      ),
    })
  })

  test('throws a PolicyError for a file that cannot be read', async () => {
    await expect(loadPolicy(join(directory, 'none.yaml'))).rejects.toMatchObject({
      name: 'PolicyError',
      message: expect.stringContaining('ENOENT'),
    })
  })

  test.each([
    ['Latin-1', Buffer.from('version: 1 # caf\xe9\n', 'latin1')],
    ['UTF-16', Buffer.from('\ufeffversion: 1\n', 'utf16le')],
  ])('throws a PolicyError for a file in %s', async (_encoding, bytes) => {
    const file = join(directory, 'odd.yaml')
    writeFileSync(file, bytes)
    await expect(loadPolicy(file)).rejects.toMatchObject({
      name: 'PolicyError',
      message: `cannot read the policy ${file}: it is not UTF-8`,
    })
  })

  test('reads a file that begins with a byte order mark, as OpenShell does', async () => {
    const file = join(directory, 'mark.yaml')
    writeFileSync(file, '\ufeffversion: 1 # café 🎉\n')
    expect(await loadPolicy(file)).toMatchObject({ version: 1 })
  })
})
