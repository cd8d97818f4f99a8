// Checks that look at more than one part of the policy: ambiguity between endpoints, and middlewares.
import { describe, expect, test } from 'vitest'
import { formatProblem, parsePolicy } from '../../src/policy/read/load.ts'

const problemsOf = (text: string): string[] => parsePolicy(text, { file: 'p' }).problems.map(formatProblem)

const REST = 'host: a.example.com, port: 443, protocol: rest'

describe('ambiguity', () => {
  const pair = (left: string, right: string): string[] =>
    problemsOf(
      `version: 1\nnetwork_policies:\n  a: {endpoints: [{${left}}], binaries: [{path: /x}]}\n  b: {endpoints: [{${right}}], binaries: [{path: /y}]}`,
    )
  const HOST = 'host: a.example.com, port: 443'

  test.each([
    [HOST, `${HOST}, tls: skip`, 'tls'],
    [HOST, `${HOST}, protocol: tcp`, 'protocol tcp'],
    [HOST, 'port: 443, allowed_ips: [10.1.0.0/16]', 'allowed_ips'],
    [HOST, 'host: "**.example.com", port: 443, tls: skip', 'tls'],
    [`${REST}, access: full`, `${REST}, access: full, enforcement: enforce`, 'enforcement'],
    [`${REST}, access: full`, `${HOST}, protocol: graphql, access: full`, 'protocol (rest against graphql)'],
    [
      `${REST}, access: full, path: "/a/*"`,
      `${REST}, access: full, path: "/*/b", allow_encoded_slash: true`,
      'allow_encoded_slash',
    ],
    [
      `${REST}, access: full, path: "/[!a]"`,
      `${REST}, access: full, path: "/[ba]", allow_encoded_slash: true`,
      'allow_encoded_slash',
    ],
    [
      `${REST}, access: full, path: "/a**"`,
      `${REST}, access: full, path: "/bc", allow_encoded_slash: true`,
      '',
    ],
    [
      `${HOST}, protocol: graphql, access: full`,
      `${HOST}, protocol: graphql, access: full, graphql_max_body_bytes: 1`,
      'graphql_max_body_bytes',
    ],
    [
      `${HOST}, protocol: websocket, access: full`,
      `${HOST}, protocol: websocket, access: full, deny_rules: [{operation_type: query}]`,
      'GraphQL rules',
    ],
    [
      `${HOST}, protocol: json-rpc, rules: [{allow: {method: a}}]`,
      `${HOST}, protocol: json-rpc, rules: [{allow: {method: a}}], json_rpc: {max_body_bytes: 1}`,
      'max_body_bytes',
    ],
    [
      `${HOST}, protocol: mcp, mcp: {allow_all_known_mcp_methods: true}`,
      `${HOST}, protocol: mcp, mcp: {allow_all_known_mcp_methods: true, strict_tool_names: false}`,
      'mcp.strict_tool_names',
    ],
    [
      `${REST}, access: full`,
      `${REST}, access: full, credential_binding: {provider: p}`,
      'credential_binding.provider',
    ],
  ])('{%s} and {%s} conflict in %s', (left, right, field) => {
    const problems = pair(left, right).filter((line) => line.includes('overlaps'))
    if (field === '') return expect(problems).toEqual([])
    expect(problems).toHaveLength(1)
    expect(problems[0]).toMatch(/^p:4:\d+: overlaps with "a"/)
    expect(problems[0]).toContain(`differs in ${field}`)
  })

  test.each([
    [HOST, `${REST}, access: full`],
    [`${HOST}, tls: skip`, 'host: a.example.com, port: 80'],
    [`${HOST}, tls: skip`, 'host: "*.example.org", port: 443'],
    [`${HOST}, tls: skip`, 'host: "*.a.example.com", port: 443'],
    [`${REST}, access: full`, `${REST}, access: read-only`],
    [`${REST}, access: full, path: /a`, `${HOST}, protocol: graphql, access: full, path: /b`],
    [`${REST}, access: full, path: /a/**`, `${HOST}, protocol: graphql, access: full, path: /a/graphql`],
    [`${REST}, access: full, enforcement: block`, `${REST}, access: full, enforcement: audit`],
    [
      `${REST}, access: full, path: "/[!a]"`,
      `${REST}, access: full, path: "/[a]", allow_encoded_slash: true`,
    ],
    [`${HOST}, tls: terminate`, `${HOST}`],
  ])('{%s} and {%s} go together', (left, right) => {
    expect(pair(left, right).filter((line) => !line.includes('warning'))).toEqual([])
  })
})

describe('middlewares', () => {
  const middleware = (body: string, more = ''): string[] =>
    problemsOf(`version: 1\nnetwork_middlewares: {m: {middleware: openshell/regex, ${body}}${more}}`)
  const HOSTS = 'endpoints: {include: ["*.example.com"]}'

  test('a whole one is clean', () => {
    expect(middleware(`order: 3, config: {a: [1]}, on_error: fail_open, ${HOSTS}`)).toEqual([])
  })

  test.each([
    ['order: 1', 'endpoints is required'],
    ['endpoints: {}', 'at least one host pattern'],
    ['endpoints: {include: ["a b"]}', 'holds a blank'],
    ['endpoints: {include: ["a..b"]}', 'empty DNS label'],
    ['endpoints: {include: [""]}', 'it is empty'],
    ['endpoints: {include: ["{a,b}.com"]}', 'braces'],
    ['endpoints: {include: ["a[.com"]}', 'unclosed'],
    [`endpoints: {include: [${'a.com,'.repeat(33)}]}`, 'too many host patterns (33, at most 32)'],
    [`on_error: maybe, ${HOSTS}`, 'fail_closed or fail_open'],
    [`bogus: 1, ${HOSTS}`, 'unknown key "bogus"'],
  ])('{%s} is refused: %s', (body, reason) => {
    expect(middleware(body).join('\n')).toContain(reason)
  })

  test('names, orders and their number are checked', () => {
    const other = (name: string, order: number): string =>
      `, ${name}: {middleware: x, order: ${order}, ${HOSTS}}`
    expect(middleware(HOSTS, other('n', 0)).join('\n')).toContain('"m" has the same order 0')
    expect(middleware(HOSTS, other('""', 1)).join('\n')).toContain('the name is empty')
    const ten = Array.from({ length: 10 }, (_, n) => other(`n${n}`, n + 1)).join('')
    expect(middleware(HOSTS, ten).join('\n')).toContain('too many middlewares (11, at most 10)')
    expect(
      problemsOf(`version: 1\nnetwork_middlewares: {m: {middleware: "", ${HOSTS}}}`).join('\n'),
    ).toContain('must not be empty')
  })

  test.each([
    ['include: ["*.example.com"]', 'git.example.com', true],
    ['include: ["*.example.com"]', '*.example.com', true],
    ['include: ["**.com"]', 'a.b.example.com', true],
    ['include: ["git.example.com"]', '*.example.com', true],
    ['include: ["*.example.com"]', 'git.example.org', false],
    ['include: ["*.example.com"], exclude: ["git.*.com"]', 'git.example.com', false],
    ['include: ["*.example.com"], exclude: ["**"]', '*.example.com', false],
    ['include: ["*.example.com"], exclude: ["git.example.com"]', '*.example.com', true],
    ['include: ["git.example.com"], exclude: ["git.*.com"]', '**.com', false],
  ])('a selector {%s} that fails closed conflicts with tls skip on %s: %s', (selector, host, conflicts) => {
    const text = `version: 1\nnetwork_middlewares: {m: {middleware: x, endpoints: {${selector}}}}\nnetwork_policies: {r: {endpoints: [{host: "${host}", port: 8443, tls: skip}], binaries: [{path: /x}]}}`
    expect(problemsOf(text).some((line) => line.includes('skips TLS'))).toBe(conflicts)
    const open = problemsOf(text.replace('middleware: x,', 'middleware: x, on_error: fail_open,'))
    expect(open.filter((line) => line.includes('skips TLS'))).toEqual([])
  })
})
