// What one release of OpenShell takes and another does not. Seen: 0.0.111 by its own loader, built from its source; 0.1 by the
// source of its policy language and its documents.
import { describe, expect, test } from 'vitest'
import { formatProblem, parsePolicy } from '../../src/policy/read/load.ts'
import { formatRelease, parseRelease, type Release } from '../../src/policy/read/release.ts'

function problemsOf(text: string, release?: Release): string[] {
  return parsePolicy(text, { file: 'p', ...(release && { release }) }).problems.map(formatProblem)
}

const withEndpoint = (more: string, rest = ''): string =>
  `version: 1\nnetwork_policies:\n  r:\n    endpoints:\n      - { host: a.example.com, port: 443, ${more} }\n    binaries: [{ path: /usr/bin/git${rest} }]\n`
const MCP = 'protocol: mcp, rules: [{allow: {method: ping}}]'

describe('a key that came later', () => {
  test.each<[string, string, Release, Release]>([
    ['mcp.versions', `${MCP}, mcp: {versions: ["2025-11-25"]}`, [0, 0, 111], [0, 1, 0]],
    ['protocol mcp', MCP, [0, 0, 71], [0, 0, 72]],
    ['protocol json-rpc', 'protocol: json-rpc, rules: [{allow: {method: ping}}]', [0, 0, 56], [0, 0, 72]],
    ['protocol tcp', 'protocol: tcp', [0, 0, 110], [0, 0, 111]],
    ['credential_binding', 'credential_binding: {provider: p}', [0, 0, 102], [0, 0, 103]],
    ['allow_uninspected_credentials', 'allow_uninspected_credentials: true', [0, 0, 109], [0, 0, 110]],
    ['credential_signing', 'credential_signing: sigv4, signing_service: s3', [0, 0, 70], [0, 0, 83]],
  ])('%s is refused before it was there, with the release that it needs', (what, endpoint, before, since) => {
    const text = withEndpoint(endpoint)
    expect(problemsOf(text, before)).toContainEqual(
      expect.stringMatching(
        new RegExp(
          `^p:5:\\d+: ${what} needs OpenShell [\\d.]+ or newer: ${formatRelease(before)} refuses the file$`,
        ),
      ),
    )
    expect(problemsOf(text, since).filter((line) => line.includes('needs OpenShell'))).toEqual([])
  })

  test('middlewares too', () => {
    const text =
      'version: 1\nnetwork_middlewares: {m: {middleware: openshell/regex, endpoints: {include: [a.example.com]}}}'
    expect(problemsOf(text, [0, 0, 85])).toEqual([
      'p:2:1: network_middlewares needs OpenShell 0.0.86 or newer: 0.0.85 refuses the file',
    ])
    expect(problemsOf(text, [0, 0, 86])).toEqual([])
  })

  test('file mode passes over a key that it does not know, but not over a protocol', () => {
    const text = withEndpoint('credential_binding: {provider: p}, protocol: tcp')
    const { problems } = parsePolicy(text, { file: 'p', mode: 'file', release: [0, 0, 56] })
    const needs = problems.filter(({ message }) => message.includes('needs OpenShell'))
    expect(needs.map(({ message }) => message.split(' needs')[0])).toEqual(['protocol tcp'])
  })
})

describe('what 0.1.0 refuses', () => {
  test.each([
    ['version: 2', 'the documented version is 1'],
    ['version: 1\nlandlock: {compatibility: hard-requirement}', 'only hard_requirement is strict'],
    ['version: 1\nnetwork_policies: {_provider_x: {binaries: [{path: /x}]}}', '_provider_'],
    [withEndpoint('tls: terminate'), 'is deprecated'],
    [withEndpoint('tls: auto'), 'means nothing'],
    [withEndpoint('protocol: rest, access: full, enforcement: Enforce'), 'means audit'],
    [withEndpoint('protocol: rest, access: readonly'), 'unknown preset'],
    [withEndpoint('protocol: rest, access: full, mcp: {}'), 'without protocol mcp'],
    [withEndpoint('protocol: rest, access: full', ', harness: true'), 'harness does nothing'],
  ])('%j is a warning before', (text, reason) => {
    const end = '; OpenShell 0.1.0 and newer refuse it'
    const [warned, ...others] = problemsOf(text)
    expect([others, warned]).toEqual([
      [],
      expect.stringMatching(/^p:\d+:\d+: warning: .*; OpenShell 0\.1\.0 and newer refuse it$/),
    ])
    expect(warned).toContain(reason)
    expect(problemsOf(text, [0, 1, 5])).toEqual([warned?.replace('warning: ', '')])
    expect(warned).toContain(end)
  })
})

test('the MCP revisions of a policy are ones that 0.1 reads, each once', () => {
  const of = (versions: string): string[] =>
    problemsOf(withEndpoint(`${MCP}, mcp: {versions: ${versions}}`), [0, 1, 5])
  expect(of('["2025-03-26", "2025-06-18", "2025-11-25"]')).toEqual([])
  expect(of('[]')).toEqual([expect.stringContaining('must not be empty')])
  expect(of('["2025-11-25", "2025-11-25"]')).toEqual([expect.stringContaining('is named twice')])
  expect(of('["2024-11-05"]')).toEqual([expect.stringContaining('no revision that OpenShell 0.1.5 reads')])
})

test('a release is written as people write it', () => {
  expect(['0.0.83', 'v0.1.5', '0.1'].map(parseRelease)).toEqual([
    [0, 0, 83],
    [0, 1, 5],
    [0, 1, 0],
  ])
  for (const text of ['', '1', 'latest', '0.1.x', '0.0.83-dev', '-0.1'])
    expect(parseRelease(text)).toBeUndefined()
})
