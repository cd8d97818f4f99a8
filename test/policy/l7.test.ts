import { describe, expect, test } from 'vitest'
import { ask, HOST, policyWith } from './access-question.ts'

describe('REST', () => {
  const rest = { ...HOST, protocol: 'rest', enforcement: 'enforce' }

  test.each([
    [{ ...rest, access: 'read-only' }, 'HEAD', '/', 'allow'],
    [{ ...rest, access: 'read-only' }, 'POST', '/', 'deny'],
    [{ ...rest, access: 'read-write' }, 'DELETE', '/', 'deny'],
    [{ ...rest, access: 'readonly' }, 'GET', '/', 'deny'],
    [{ ...rest, rules: [{ allow: { method: 'GET', path: '/x' } }] }, 'HEAD', '/x', 'allow'],
    [{ ...rest, rules: [{ allow: { method: 'HEAD', path: '/x' } }] }, 'GET', '/x', 'deny'],
    [{ ...rest, rules: [{ allow: { method: 'GET' } }] }, 'GET', '/x', 'deny'],
    [{ ...rest, rules: [{ allow: { path: '/x' } }] }, 'GET', '/x', 'deny'],
    [{ ...rest, rules: [{ allow: { method: '*', path: '**' } }] }, 'PURGE', '/x', 'allow'],
    [{ ...rest, access: 'full', deny_rules: [{ method: 'GET', path: '/x' }] }, 'HEAD', '/x', 'deny'],
    [{ ...rest, access: 'full', deny_rules: [{ method: 'GET' }] }, 'GET', '/x', 'allow'],
    [
      { ...rest, access: 'full', deny_rules: [{ method: 'GET', path: '/x', query: { a: '1', b: '*' } }] },
      'GET',
      '/x?a=2&a=1&b',
      'deny',
    ],
    [
      { ...rest, access: 'full', deny_rules: [{ method: 'GET', path: '/x', query: { a: '1', b: '*' } }] },
      'GET',
      '/x?a=1',
      'allow',
    ],
    [
      { ...rest, access: 'full', deny_rules: [{ method: 'GET', path: '/x', query: { a: '1' } }] },
      'GET',
      '/x?a=2',
      'allow',
    ],
    [
      { ...rest, rules: [{ allow: { method: 'GET', path: '/x', query: { a: { any: ['1', '2'] } } } }] },
      'GET',
      '/x?a=1&a=2',
      'allow',
    ],
    [
      { ...rest, rules: [{ allow: { method: 'GET', path: '/x', query: { a: '*' } } }] },
      'GET',
      '/x?a=1.2',
      'deny',
    ],
    [
      { ...rest, rules: [{ allow: { method: 'GET', path: '/x', query: { a: '*' } } }] },
      'GET',
      '/x?a=%00',
      'deny',
    ],
    [{ ...rest, path: '/v1/**', access: 'full' }, 'GET', '/v1/x', 'allow'],
    [{ ...rest, path: '/v1/**', access: 'full' }, 'GET', '/v2', 'deny'],
    [
      { ...rest, allow_encoded_slash: true, rules: [{ allow: { method: 'GET', path: '/a%2Fb' } }] },
      'GET',
      '/a%2fb',
      'allow',
    ],
  ])('%j: %s %s: %s', (endpoint, method, path, verdict) => {
    expect(ask(policyWith(endpoint), { method, path })).toMatchObject({ verdict, stage: 'l7' })
  })

  test('the reason names neither query nor header, and the rule that decided', () => {
    const policy = policyWith(
      { ...rest, access: 'full' },
      { ...rest, access: 'full', deny_rules: [{ method: '*', path: '/x' }] },
    )
    expect(ask(policy, { method: 'GET', path: '/x?token=secret' })).toEqual({
      verdict: 'deny',
      stage: 'l7',
      rule: 'b',
      reason: 'GET /x is blocked by a deny rule',
    })
    expect(ask(policy, { method: 'GET', path: '/y?token=secret' }).reason).toBe('GET /y is permitted')
  })

  test('audit lets a violation pass, but not a request nobody can read', () => {
    const policy = policyWith({ ...HOST, protocol: 'rest', access: 'read-only' })
    expect(ask(policy, { method: 'POST', path: '/x' })).toMatchObject({ verdict: 'audit', stage: 'l7' })
    expect(ask(policy, { method: 'POST', path: '/../x' }).verdict).toBe('deny')
    const misspelt = policyWith({ ...HOST, protocol: 'rest', enforcement: 'Enforce', access: 'read-only' })
    expect(ask(misspelt, { method: 'POST', path: '/x' }).verdict).toBe('audit')
    expect(ask(policy, { method: 'GET', path: '/x', hostHeader: 'b.example.com' }).verdict).toBe('deny')
  })

  test.each([
    ['a.example.com', 'allow'],
    ['A.Example.com.', 'allow'],
    ['a.example.com:443', 'allow'],
    ['a.example.com:80', 'deny'],
    ['b.example.com', 'deny'],
    ['a.example.com@b.example.com', 'deny'],
    ['', 'deny'],
  ])('the Host header "%s": %s', (hostHeader, verdict) => {
    expect(ask(policyWith({ ...rest, access: 'full' }), { method: 'GET', hostHeader }).verdict).toBe(verdict)
  })

  test('a Host header without port is enough on default ports only', () => {
    const policy = policyWith({ ...rest, port: 8443, access: 'full' })
    expect(ask(policy, { port: 8443, method: 'GET', hostHeader: 'a.example.com' }).verdict).toBe('deny')
    expect(ask(policy, { port: 8443, method: 'GET', hostHeader: 'a.example.com:8443' }).verdict).toBe('allow')
  })

  test('of several endpoints the most specific path decides enforcement and %2F', () => {
    const policy = policyWith([
      { ...HOST, protocol: 'rest', path: '/api/**', access: 'read-only' },
      { ...rest, path: '/api/admin/**', access: 'read-only', allow_encoded_slash: true },
    ])
    expect(ask(policy, { method: 'POST', path: '/api/x' }).verdict).toBe('audit')
    expect(ask(policy, { method: 'POST', path: '/api/admin/x' }).verdict).toBe('deny')
    expect(ask(policy, { method: 'GET', path: '/api/admin/a%2Fb' }).verdict).toBe('allow')
    expect(ask(policy, { method: 'GET', path: '/api/a%2Fb' }).verdict).toBe('deny')
    expect(ask(policy, { method: 'GET', path: '/other' }).reason).toContain('no endpoint path covers')
  })

  test('rules without a protocol widen the inspected endpoint beside them', () => {
    const inspected = { ...rest, access: 'read-only' }
    expect(ask(policyWith(inspected, HOST), { method: 'POST' }).verdict).toBe('deny')
    expect(ask(policyWith(inspected, { ...HOST, access: 'full' }), { method: 'POST' })).toMatchObject({
      verdict: 'allow',
      rule: 'b',
    })
  })

  test('sql is forwarded without a look', () => {
    expect(
      ask(policyWith({ ...HOST, protocol: 'sql', access: 'read-only' }), { method: 'DROP' }).verdict,
    ).toBe('allow')
  })
})

describe('WebSocket', () => {
  const socket = { ...HOST, protocol: 'websocket', enforcement: 'enforce' }

  test.each([
    ['read-only', { method: 'GET' }, 'allow'],
    ['read-only', { method: 'GET', upgrade: false }, 'deny'],
    ['read-only', { method: 'WEBSOCKET_TEXT' }, 'deny'],
    ['read-write', { method: 'WEBSOCKET_TEXT' }, 'allow'],
    ['full', { method: 'POST' }, 'deny'],
    ['full', { method: 'WEBSOCKET_TEXT' }, 'allow'],
  ])('%s, %j: %s', (access, request, verdict) => {
    expect(ask(policyWith({ ...socket, access }), request).verdict).toBe(verdict)
  })

  test('an upgrade is demanded even under audit', () => {
    const policy = policyWith({ ...HOST, protocol: 'websocket', access: 'full' })
    expect(ask(policy, { method: 'GET', upgrade: false }).verdict).toBe('deny')
  })

  test('a GraphQL operation in a frame is not let through by a rule for text', () => {
    const policy = policyWith({ ...socket, access: 'read-write' })
    const graphql = { operations: [{ type: 'mutation' }] }
    expect(ask(policy, { method: 'WEBSOCKET_TEXT', graphql }).verdict).toBe('deny')
  })
})

describe('GraphQL', () => {
  const graphql = { ...HOST, protocol: 'graphql', enforcement: 'enforce' }
  const rules = [{ allow: { operation_type: 'query', operation_name: 'Get*', fields: ['user', 'repo*'] } }]
  const registry = {
    persisted_queries: 'allow_registered',
    graphql_persisted_queries: { h1: { operation_type: 'query', operation_name: 'GetX', fields: ['user'] } },
  }

  test.each([
    [{ access: 'read-only' }, [{ type: 'query' }], 'allow'],
    [{ access: 'read-only' }, [{ type: 'mutation' }], 'deny'],
    [{ access: 'read-write' }, [{ type: 'MUTATION' }, { type: 'query' }], 'allow'],
    [{ access: 'full' }, [{ type: 'subscription' }], 'allow'],
    [{ access: 'full' }, [], 'deny'],
    [{ rules }, [{ type: 'query', name: 'GetA', fields: ['user', 'repos'] }], 'allow'],
    [{ rules }, [{ type: 'query', name: 'GetA', fields: ['user', 'admin'] }], 'deny'],
    [{ rules }, [{ type: 'query', name: 'GetA' }], 'deny'],
    [{ rules }, [{ type: 'query', fields: ['user'] }], 'deny'],
    [{ rules }, [{ type: 'query', name: 'GetA', fields: ['user'] }, { type: 'mutation' }], 'deny'],
    [
      { access: 'full', deny_rules: [{ operation_type: 'mutation', fields: ['delete*'] }] },
      [{ type: 'mutation', fields: ['add', 'deleteAll'] }],
      'deny',
    ],
    [
      { access: 'full', deny_rules: [{ operation_type: 'mutation', fields: ['delete*'] }] },
      [{ type: 'mutation', fields: ['add'] }],
      'allow',
    ],
    [{ rules, ...registry }, [{ type: '', persisted: { hash: 'h1' } }], 'allow'],
    [{ rules, ...registry }, [{ type: '', persisted: { id: 'h1' } }], 'allow'],
    [{ rules, ...registry }, [{ type: '', persisted: { hash: 'h2' } }], 'deny'],
    [{ rules, ...registry, persisted_queries: 'deny' }, [{ type: '', persisted: { hash: 'h1' } }], 'deny'],
  ])('%j with %j: %s', (fields, operations, verdict) => {
    const decision = ask(policyWith({ ...graphql, ...fields }), { method: 'POST', graphql: { operations } })
    expect(decision.verdict).toBe(verdict)
  })

  test('an unreadable body is refused even under audit; a body not given is not permitted', () => {
    const policy = policyWith({ ...HOST, protocol: 'graphql', access: 'full' })
    expect(ask(policy, { method: 'POST', graphql: { operations: [], error: 'syntax' } }).verdict).toBe('deny')
    expect(ask(policy, { method: 'POST' }).verdict).toBe('audit')
  })

  test('a broader REST rule does not let a refused operation through', () => {
    const policy = policyWith([
      { ...HOST, protocol: 'rest', enforcement: 'enforce', access: 'full' },
      { ...graphql, path: '/graphql', access: 'read-only' },
    ])
    const request = { method: 'POST', path: '/graphql', graphql: { operations: [{ type: 'mutation' }] } }
    expect(ask(policy, request).verdict).toBe('deny')
  })
})

describe('JSON-RPC', () => {
  const rpc = { ...HOST, protocol: 'json-rpc', enforcement: 'enforce' }
  const policy = policyWith({
    ...rpc,
    rules: [{ allow: { method: 'eth_call' } }, { allow: { method: 'net' } }],
    deny_rules: [{ method: 'net' }],
  })
  const call = (...methods: string[]) => methods.map((method) => ({ method }))

  test.each([
    [{ calls: call('eth_call') }, 'POST', 'allow'],
    [{ calls: call('eth_send') }, 'POST', 'deny'],
    [{ calls: call('net') }, 'POST', 'deny'],
    [{ calls: call('ETH_CALL') }, 'POST', 'deny'],
    [{ calls: call('') }, 'POST', 'deny'],
    [{ calls: call('eth_call') }, 'GET', 'deny'],
    [{ calls: call('eth_call', 'eth_call'), isBatch: true }, 'POST', 'allow'],
    [{ calls: call('eth_call', 'eth_send'), isBatch: true }, 'POST', 'deny'],
    [{ calls: [], hasResponse: true }, 'POST', 'deny'],
    [{ calls: [], error: 'no JSON' }, 'POST', 'deny'],
  ])('%j by %s: %s', (jsonRpc, method, verdict) => {
    expect(ask(policy, { method, jsonRpc }).verdict).toBe(verdict)
  })

  test('"*" is every method, and a body not given is none', () => {
    const all = policyWith({ ...rpc, rules: [{ allow: { method: '*' } }] })
    expect(ask(all, { method: 'POST', jsonRpc: { calls: call('x') } }).verdict).toBe('allow')
    expect(ask(all, { method: 'POST' }).verdict).toBe('deny')
  })

  test('a response from the client is refused even under audit', () => {
    const audit = policyWith({ ...HOST, protocol: 'json-rpc', rules: [{ allow: { method: '*' } }] })
    expect(ask(audit, { method: 'POST', jsonRpc: { calls: [], hasResponse: true } }).verdict).toBe('deny')
  })
})

describe('MCP', () => {
  const mcp = { ...HOST, protocol: 'mcp', enforcement: 'enforce' }
  const known = { ...mcp, mcp: { allow_all_known_mcp_methods: true } }
  const tools = [{ allow: { tool: { any: ['read_*', 'list'] } } }]
  const use = (tool: string) => ({ calls: [{ method: 'tools/call', tool }] })

  test.each([
    [known, 'POST', { calls: [{ method: 'initialize' }] }, 'allow'],
    [known, 'POST', use('anything'), 'allow'],
    [{ ...known, rules: tools }, 'POST', use('read_file'), 'allow'],
    [{ ...known, rules: tools }, 'POST', use('write_file'), 'deny'],
    [{ ...known, rules: tools }, 'POST', { calls: [{ method: 'tools/call' }] }, 'deny'],
    [{ ...known, rules: tools }, 'POST', { calls: [{ method: 'tools/list' }] }, 'allow'],
    [{ ...known, rules: [{ allow: { params: { name: 'list' } } }] }, 'POST', use('list'), 'allow'],
    [{ ...known, deny_rules: [{ tool: 'rm*' }] }, 'POST', use('rmdir'), 'deny'],
    [{ ...known, deny_rules: [{ tool: 'rm*' }] }, 'POST', use('ls'), 'allow'],
    [
      { ...mcp, rules: [{ allow: { method: 'tools/*' } }] },
      'POST',
      { calls: [{ method: 'tools/list' }] },
      'allow',
    ],
    [
      { ...mcp, rules: [{ allow: { method: 'tools/list' } }] },
      'POST',
      { calls: [{ method: 'ping' }] },
      'deny',
    ],
    [
      { ...mcp, rules: [{ allow: { method: 'tools/list' } }] },
      'POST',
      { calls: [], hasResponse: true },
      'allow',
    ],
    [
      { ...mcp, rules: [{ allow: { method: 'tools/list' } }] },
      'GET',
      { calls: [], isReceiveStream: true },
      'allow',
    ],
    [{ ...mcp, rules: [{ allow: { method: 'tools/list' } }] }, 'GET', { calls: [] }, 'deny'],
    [{ ...mcp, rules: [{ allow: { method: 'tools/list' } }] }, 'DELETE', { calls: [] }, 'deny'],
    [{ ...mcp, rules: [{ allow: { method: 'tools/list' } }] }, 'POST', undefined, 'deny'],
  ])('%j, %s %j: %s', (endpoint, method, jsonRpc, verdict) => {
    expect(ask(policyWith(endpoint), { method, jsonRpc }).verdict).toBe(verdict)
  })
})

test('protocol names are compared exactly where OpenShell does: MCP in capitals gets no MCP rules', () => {
  const policy = policyWith({ ...HOST, protocol: 'GraphQL', enforcement: 'enforce', access: 'read-only' })
  expect(ask(policy, { method: 'POST', graphql: { operations: [{ type: 'query' }] } }).verdict).toBe('deny')
})
