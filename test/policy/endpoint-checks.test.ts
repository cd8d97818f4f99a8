import { describe, expect, test } from 'vitest'
import { formatProblem, parsePolicy } from '../../src/policy/read/load.ts'

const problemsOf = (text: string): string[] => parsePolicy(text, { file: 'p' }).problems.map(formatProblem)

/** The first endpoint of rule `r`, written at line 5, column 9. */
const withEndpoint = (endpoint: string): string =>
  `version: 1\nnetwork_policies:\n  r:\n    endpoints:\n      - ${endpoint}\n    binaries: [{ path: /usr/bin/git }]\n`
const REST = 'host: a.example.com, port: 443, protocol: rest'

describe('one endpoint', () => {
  test.each([
    ['{ host: 10.0.0.1, port: 1, protocol: tcp }', 'an IP address bypasses policy DNS'],
    ['{ host: " a.example.com", port: 1, protocol: tcp }', 'begins or ends with a blank'],
    ['{ host: a..com, port: 1, protocol: tcp }', 'empty DNS label'],
    ['{ host: "a.{b,c}.com", port: 1, protocol: tcp }', 'braces'],
    [`{ host: ${'a'.repeat(64)}.com, port: 1, protocol: tcp }`, 'longer than 63'],
    [`{ host: ${'abcdefgh.'.repeat(30)}com, port: 1, protocol: tcp }`, 'longer than 253'],
    ['{ host: "[ab].example.com", port: 1, protocol: tcp }', 'more than letters, digits'],
    ['{ host: "é.example.com", port: 1, protocol: tcp }', 'more than letters, digits'],
    ['{ port: 1, protocol: tcp, allowed_ips: [10.1.0.0/16] }', 'needs a DNS host'],
    ['{ host: a.example.com, port: 1, protocol: TCP, access: full }', 'takes no access'],
    [
      '{ host: a.example.com, port: 1, protocol: tcp, path: /x, tls: skip, mcp: {strict_tool_names: true} }',
      'path, mcp',
    ],
    ['{ host: a.example.com, ports: [443, 0] }', 'from 1 to 65535'],
    ['{ host: "**a.example.com", port: 1 }', 'whole first label'],
    ['{ host: "a.**.com", port: 1 }', 'first label only'],
    ['{ host: "foo*.com", port: 1 }', 'top-level domain'],
    ['{ host: a.example.com, port: 1, credential_signing: sigv5, signing_service: s3 }', 'must be sigv4'],
    ['{ host: a.example.com, port: 1, credential_signing: sigv4 }', 'needs signing_service'],
    [
      '{ host: a.example.com, port: 1, credential_signing: sigv4, signing_service: s3, request_body_credential_rewrite: true }',
      'excludes',
    ],
    [`{ ${REST}, access: full, rules: [{allow: {method: GET, path: /}}] }`, 'exclude each other'],
    [`{ ${REST}, rules: [{allow: {}}] }`, 'every rule is empty'],
    [`{ ${REST}, rules: [{allow: {query: {a: b}}}] }`, 'every rule is empty'],
    [`{ ${REST}, access: full, path: x }`, 'must start with "/"'],
    [`{ ${REST}, access: full, persisted_queries: maybe }`, 'deny or allow_registered'],
    [`{ ${REST}, access: full, mcp: {strict_tool_names: true} }`, 'need protocol mcp'],
    [`{ ${REST}, access: full, mcp: {bogus: true} }`, 'unknown key "bogus"'],
    [`{ ${REST}, rules: [{allow: {method: GET, path: /, query: {a: ""}}}] }`, 'at least one glob'],
    [`{ ${REST}, rules: [{allow: {method: GET, path: /, query: {a: {any: []}}}}] }`, 'at least one glob'],
    [`{ ${REST}, rules: [{allow: {method: GET, path: /, query: {a: {glob: b}}}}] }`, 'a glob string or'],
    [`{ ${REST}, rules: [{allow: {method: GET, path: /, tool: x}}] }`, 'tool needs protocol mcp'],
    [`{ ${REST}, rules: [{allow: {method: GET, path: /, params: {name: x}}}] }`, 'params need protocol mcp'],
    [
      '{ host: a.example.com, port: 1, protocol: sql, access: full, enforcement: enforce }',
      'cannot be enforced',
    ],
    ['{ host: a.example.com, port: 1, protocol: json-rpc }', 'needs rules with a method'],
    ['{ host: a.example.com, port: 1, protocol: json-rpc, rules: [{allow: {path: /}}] }', 'needs a method'],
    [
      '{ host: a.example.com, port: 1, protocol: json-rpc, rules: [{allow: {method: "a.*"}}] }',
      'an exact name',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: json-rpc, rules: [{allow: {method: a, params: {x: y}}}] }',
      'take no params',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: json-rpc, rules: [{allow: {method: a, path: /}}] }',
      'not path or query',
    ],
    ['{ host: a.example.com, port: 1, protocol: mcp }', 'protocol mcp needs rules'],
    ['{ host: a.example.com, port: 1, protocol: mcp, access: full }', 'no access presets'],
    [
      '{ allowed_ips: [10.1.0.0/16], port: 1, protocol: mcp, mcp: {allow_all_known_mcp_methods: true} }',
      'mcp needs a host',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: "x/*"}}] }',
      'begin with tools/',
    ],
    ['{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {tool: x}}] }', 'needs a method unless'],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: tools/list, tool: x}}] }',
      'has the method tools/call',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: tools/call, tool: x, params: {name: y}}}] }',
      'use either',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: tools/call, params: {arguments: {a: y}}}}] }',
      '"arguments.a" cannot',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, mcp: {strict_tool_names: false}, rules: [{allow: {method: tools/call, tool: "x*"}}] }',
      'needs mcp.strict_tool_names',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: tools/call, tool: x}}, {allow: {method: "tools/*"}}] }',
      'allows every tool call',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: mcp, rules: [{allow: {method: tools/call, tool: x}}], deny_rules: [{method: tools/call}] }',
      'denys every tool call',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: graphql, rules: [{allow: {operation_type: "*"}}] }',
      'operation_type must be',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: graphql, access: full, deny_rules: [{operation_type: Query}] }',
      'operation_type must be',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: graphql, access: full, graphql_persisted_queries: {h: {operation_type: x}} }',
      'operation_type must be',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: graphql, rules: [{allow: {operation_type: query, fields: [""]}}] }',
      'field glob must not be empty',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: websocket, rules: [{allow: {operation_type: query}}] }',
      'cannot mix',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: websocket, access: full, deny_rules: [{operation_type: query, path: /}] }',
      'cannot mix',
    ],
    [
      '{ host: a.example.com, port: 1, protocol: websocket, rules: [{allow: {method: WEBSOCKET_TEXT, path: /}}], deny_rules: [{operation_type: query}] }',
      'would bypass',
    ],
  ])('%s is refused: %s', (endpoint, reason) => {
    const { policy, problems } = parsePolicy(withEndpoint(endpoint), { file: 'p' })
    const errors = problems.filter((problem) => problem.severity === 'error')
    expect(errors.map(({ message }) => message).join('\n')).toContain(reason)
    expect(errors.every(({ line }) => line === 5)).toBe(true)
    expect(policy).toBeUndefined()
  })

  test.each([
    [`{ ${REST}, access: full, tls: passthrough }`, '"passthrough" is deprecated'],
    [`{ ${REST}, access: full, tls: skip }`, 'leaves nothing for the protocol'],
    [`{ ${REST}, rules: [{allow: {method: FETCH, path: /}}] }`, 'unknown method "FETCH"'],
    [`{ ${REST}, access: full, deny_rules: [{method: GET, path: /, command: x}] }`, 'command is for sql'],
    [`{ ${REST}, access: full, graphql_max_body_bytes: 5 }`, 'GraphQL fields are ignored'],
    [`{ ${REST}, access: full, json_rpc: {max_body_bytes: 5} }`, 'json_rpc is ignored'],
    [`{ ${REST}, access: full, deny_rules: [{operation_name: "x}"}] }`, 'unmatched "}"'],
    ['{ host: a.example.com, port: 443, access: read-only }', 'without one every request is allowed'],
    ['{ host: a.example.com, port: 443, ports: [80] }', 'ports is given'],
    ['{ host: "*[.example.com", port: 443 }', 'every connection would be refused'],
    ['{ host: a.example.com, port: 443, allowed_ips: [x] }', 'is no address'],
    ['{ host: a.example.com, port: 443, allowed_ips: [127.0.0.0/8] }', 'reaches loopback'],
    [
      '{ host: a.example.com, port: 443, websocket_credential_rewrite: true }',
      'ignored unless the protocol is rest or websocket',
    ],
    [
      '{ host: a.example.com, port: 443, request_body_credential_rewrite: true }',
      'ignored unless the protocol is rest',
    ],
  ])('%s loads with a warning: %s', (endpoint, warning) => {
    const { policy, problems } = parsePolicy(withEndpoint(endpoint), { file: 'p' })
    expect(problems.map(formatProblem).join('\n')).toMatch(/^p:5:\d+: warning: /)
    expect(problems.map(({ message }) => message).join('\n')).toContain(warning)
    expect(policy).toBeDefined()
  })

  test.each([
    '{ host: a.example.com, port: 1, protocol: mcp, mcp: {allow_all_known_mcp_methods: true}, rules: [{allow: {tool: x}}] }',
    '{ host: a.example.com, port: 1, protocol: graphql, rules: [{allow: {operation_type: query, fields: [a]}}], deny_rules: [{operation_type: mutation}] }',
    '{ host: "*.db.example.com", port: 5432, protocol: tcp }',
    `{ ${REST}, rules: [{allow: {method: GET, path: /, query: {a: {any: [b, "c*"]}}}}], deny_rules: [{method: "*", path: /x}] }`,
    '{ host: a.example.com, port: 1, credential_signing: "sigv4:body", signing_service: s3, signing_region: x, credential_binding: {provider: p} }',
  ])('%s is clean', (endpoint) => {
    expect(problemsOf(withEndpoint(endpoint))).toEqual([])
  })
})
