// Bodies and messages as the rules see them, without a server in sight.
import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readGraphql, readGraphqlMessage } from '../../src/policy/request/graphql.ts'
import { readDocument } from '../../src/policy/request/graphql-document.ts'
import { readJsonRpc } from '../../src/policy/request/json-rpc.ts'
import { parseStrictJson, UnreadableError } from '../../src/policy/request/strict-json.ts'
import { ask, HOST, policyWith } from './access-question.ts'

const strict = (text: string): unknown => parseStrictJson(Buffer.from(text))

describe('strict JSON', () => {
  test('what a value is written as is read as that value', () => {
    const keys = fc.string({ unit: 'grapheme' })
    const value = fc.jsonValue({ maxDepth: 4, stringUnit: 'grapheme' })
    fc.assert(
      fc.property(fc.dictionary(keys, value), fc.constantFrom(undefined, 1, '\t'), (object, indent) => {
        expect(strict(JSON.stringify(object, null, indent))).toEqual(JSON.parse(JSON.stringify(object)))
      }),
    )
  })

  test('a key that is there twice is found at any depth and in any spelling', () => {
    const escaped = (key: string): string =>
      [...key].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
    fc.assert(
      fc.property(fc.string({ minLength: 1 }), fc.nat({ max: 20 }), fc.jsonValue(), (key, depth, value) => {
        const inner = `{${JSON.stringify(key)}:${JSON.stringify(value)},"${escaped(key)}":1}`
        const text = `${'[{"a":'.repeat(depth)}${inner}${'}]'.repeat(depth)}`
        expect(() => strict(text)).toThrow('a key twice')
      }),
    )
  })

  test('any bytes are a value or unreadable, and what is read is what JSON.parse reads', () => {
    fc.assert(
      fc.property(fc.oneof(fc.uint8Array(), fc.string(), fc.json()), (source) => {
        const bytes = Buffer.from(source as string)
        try {
          expect(parseStrictJson(bytes)).toEqual(JSON.parse(bytes.toString()))
        } catch (error) {
          expect(error).toBeInstanceOf(UnreadableError)
        }
      }),
    )
  })

  test.each([
    ['{"a":{"b":1},"b":{"b":2}}', true],
    ['["a","a",{"a":1},{"a":1}]', true],
    ['{"a":"a","b":"\\"a\\":1,\\"a\\":"}', true],
    ['{"\\\\":1,"\\u005c":2}', false],
    [`${'['.repeat(127)}${']'.repeat(127)}`, true],
    [`${'['.repeat(128)}${']'.repeat(128)}`, false],
    ['"\\ud83d\\ude00"', true],
    ['"\\ude00\\ud83d"', false],
  ])('%s is readable: %s', (text, isReadable) => {
    const read = (): unknown => strict(text)
    if (isReadable) expect(read()).toEqual(JSON.parse(text))
    else expect(read).toThrow(UnreadableError)
  })
})

describe('a GraphQL document', () => {
  const name = fc.stringMatching(/^[_A-Za-z][_0-9A-Za-z]{0,6}$/).filter((text) => text !== 'on')
  const gap = fc.constantFrom(' ', '\n', '\r\n', ',', '\t', ' # } mutation { x\n', '#"\r')
  const value = fc.constantFrom(
    '1',
    '-1.5e3',
    'null',
    'RED',
    '$v',
    '"}{\\""',
    '"""{"\\"""}"""',
    '[1 {a:"]"}]',
    '{}',
  )

  interface Printed {
    tokens: string[]
    fields: string[]
  }
  const { selections } = fc.letrec<{ selections: Printed; field: Printed }>((tie) => ({
    field: fc
      .record({
        ...{ name, alias: fc.option(name), argument: fc.option(value), directive: fc.option(name) },
        inner: fc.option(tie('selections'), { maxDepth: 3 }),
        shape: fc.constantFrom('field', 'inline', 'inline on'),
      })
      .map(({ name, alias, argument, directive, inner, shape }) => {
        const marks = directive === null ? [] : ['@', directive]
        if (inner !== null && shape !== 'field') {
          const on = shape === 'inline' ? [] : ['on', name]
          return { tokens: ['...', ...on, ...marks, ...inner.tokens], fields: inner.fields }
        }
        const head = alias === null ? [name] : [alias, ':', name]
        const brackets = argument === null ? [] : ['(', 'a', ':', argument, ')']
        return { tokens: [...head, ...brackets, ...marks, ...(inner?.tokens ?? [])], fields: [name] }
      }),
    selections: fc.array(tie('field'), { minLength: 1, maxLength: 4 }).map((parts) => ({
      tokens: ['{', ...parts.flatMap(({ tokens }) => tokens), '}'],
      fields: parts.flatMap(({ fields }) => fields),
    })),
  }))

  test('any document has the root fields that were written, whatever stands between its tokens', () => {
    const type = fc.constantFrom('query', 'mutation', 'subscription')
    fc.assert(
      fc.property(type, selections, fc.array(gap, { minLength: 1 }), (kind, { tokens, fields }, gaps) => {
        const text = [kind, ...tokens]
          .map((token, index) => token + (gaps[index % gaps.length] ?? ' '))
          .join('')
        const operation = readDocument(text, undefined)
        expect(operation).toEqual({ type: kind, name: undefined, fields: [...new Set(fields)].sort() })
      }),
    )
  })

  test('any text is a document or unreadable', () => {
    const pieces = fc.array(
      fc.constantFrom(...'{}()[]:=@$!|"#\\.-1eaxé\n\r,\u2028'.split(''), '"""', '...', 'query', 'on'),
    )
    fc.assert(
      fc.property(pieces, (parts) => {
        try {
          readDocument(parts.join(''), undefined)
        } catch (error) {
          expect(error).toBeInstanceOf(UnreadableError)
        }
      }),
    )
  })

  test.each([
    ['query Q($a: [Int!]! = [1] @d, $b: In = {x: "y"}) { a }', ['a']],
    ['{ ...A } fragment A on T @d { ...B b } fragment B on T { ...A a }', ['a', 'b']],
    ['{ on fragment query: mutation }', ['fragment', 'mutation', 'on']],
    ['{ __schema { types { name } } }', ['__schema']],
  ])('%s', (text, fields) => {
    expect(readDocument(text, undefined).fields).toEqual(fields)
  })

  test.each([
    '',
    '{}',
    '{ a(b: 1',
    '{ a(b: 0x1) }',
    '{ a(b: 01) }',
    '{ a(b: "\n") }',
    '{ a(b: """") }',
    '{ ... a: b }',
    '{ a } }',
    'fragment on on T { a } { ...on }',
    '{ a(b: $) }',
    '{ a / b }',
    'query { a } extend type T { a: Int }',
    '\ufeff{ a }',
  ])('refused: %j', (text) => {
    expect(() => readDocument(text, undefined)).toThrow(UnreadableError)
  })

  test('megabytes of one thing are read or refused, not choked on', () => {
    const large = 'x'.repeat(4_000_000)
    for (const text of [`{ a(b: "${large}") }`, `{ a(b: """${'\\"""'.repeat(900_000)}""") }`, `#${large}`]) {
      const started = performance.now()
      try {
        readDocument(text, undefined)
      } catch (error) {
        expect(error).toBeInstanceOf(UnreadableError)
      }
      expect(performance.now() - started).toBeLessThan(5000)
    }
  })
})

describe('GraphQL requests', () => {
  /** How a client stores a document: with the hash that belongs to it. */
  const hashOf = (text: string): string => createHash('sha256').update(text).digest('hex')
  const post = (value: unknown) =>
    readGraphql({ method: 'POST', target: '/', body: Buffer.from(JSON.stringify(value)) })

  test.each([
    [{ id: 'a' }, [{ type: '', persisted: { id: 'a' } }]],
    [{ documentId: 'a', operationName: 'N' }, [{ type: '', name: 'N', persisted: { id: 'a' } }]],
    [{ extensions: { persistedQuery: { sha256Hash: 'h' } } }, [{ type: '', persisted: { hash: 'h' } }]],
    [
      { query: '{ a }', extensions: { persistedQuery: { sha256Hash: hashOf('{ a }') } } },
      [{ type: 'query', fields: ['a'] }],
    ],
    [{ query: '{ b }', extensions: { persistedQuery: { sha256Hash: hashOf('{ a }') } } }, 'error'],
    [
      { query: '{ a }', id: 'b' },
      [
        { type: 'query', fields: ['a'] },
        { type: '', persisted: { id: 'b' } },
      ],
    ],
    [{ query: null, id: 'b' }, [{ type: '', persisted: { id: 'b' } }]],
    [{ id: 'a', documentId: 'b' }, 'error'],
    [{ id: 1 }, 'error'],
    [{ operationName: 1, query: '{ a }' }, 'error'],
    [{ query: ' ' }, 'error'],
    ['{ a }', 'error'],
  ])('%j', (value, operations) => {
    const request = post(value)
    if (operations === 'error') expect(request).toMatchObject({ operations: [], error: expect.any(String) })
    else expect(request).toMatchObject({ operations })
  })

  test.each([
    ['{"type":"ping"}', undefined],
    ['{"type":"ping","Type":"subscribe"}', 'error'],
    ['{"type":"ping","type":"subscribe"}', 'error'],
    ['[]', 'error'],
  ])('the message %s', (message, outcome) => {
    const request = readGraphqlMessage(Buffer.from(message))
    if (outcome === undefined) expect(request).toBeUndefined()
    else expect(request?.error).toBeDefined()
  })
})

describe('JSON-RPC requests', () => {
  const read = (value: unknown, isMcp = true, hasStrictToolNames = true) =>
    readJsonRpc(Buffer.from(JSON.stringify(value)), { isMcp, hasStrictToolNames })
  const message = { jsonrpc: '2.0', id: 1 }

  test.each([
    [
      { ...message, method: 'ping' },
      { calls: [{ method: 'ping' }], isBatch: false, hasResponse: false },
    ],
    [
      { ...message, result: {} },
      { calls: [], hasResponse: true },
    ],
    [
      { ...message, id: null, error: { code: 1 } },
      { calls: [], hasResponse: true },
    ],
    [
      [
        { ...message, method: 'a' },
        { ...message, result: 1 },
      ],
      { calls: [{ method: 'a' }], isBatch: true, hasResponse: true },
    ],
    [
      { ...message, method: 'a', result: 1 },
      { calls: [], error: expect.any(String) },
    ],
    [
      { ...message, result: 1, error: {} },
      { calls: [], error: expect.any(String) },
    ],
    [
      { ...message, error: 'text' },
      { calls: [], error: expect.any(String) },
    ],
    [
      { jsonrpc: '2.0', result: 1 },
      { calls: [], error: expect.any(String) },
    ],
    [
      { ...message, method: 1 },
      { calls: [], error: expect.any(String) },
    ],
    [
      { ...message, id: 1.5, method: 'a' },
      { calls: [], error: expect.any(String) },
    ],
    ['text', { calls: [], error: expect.any(String) }],
  ])('%j', (value, request) => {
    expect(read(value)).toMatchObject(request)
  })

  test('tool names are free where strict_tool_names is off, and no business of plain JSON-RPC', () => {
    const value = { ...message, method: 'tools/call', params: { name: 'a b' } }
    expect(read(value).error).toBeDefined()
    expect(read(value, true, false).calls).toEqual([{ method: 'tools/call', tool: 'a b' }])
    expect(read({ ...value, params: 'x', id: {} }, false).calls).toEqual([{ method: 'tools/call' }])
  })
})

test.each([
  ['initialize', {}, 'protocolVersion'],
  [
    'initialize',
    { protocolVersion: '2025-11-25', capabilities: {}, clientInfo: { name: 'a' } },
    'clientInfo.version',
  ],
  ['resources/read', { uri: 5 }, 'uri'],
  ['prompts/get', { name: 'p', arguments: { a: 1 } }, 'arguments.a'],
  ['tasks/cancel', undefined, 'taskId'],
  ['logging/setLevel', { level: 'loud' }, 'level'],
  ['completion/complete', { ref: { type: 'ref/tool' }, argument: { name: 'a', value: 'b' } }, 'ref.type'],
  ['notifications/progress', { progress: 1 }, 'progressToken'],
])('%s with %j lacks what MCP asks for', (method, params, member) => {
  const id = method.startsWith('notifications/') ? {} : { id: 1 }
  const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', ...id, method, params }))
  const { calls, error } = readJsonRpc(body, { isMcp: true, hasStrictToolNames: true })
  expect([calls, error]).toEqual([[], `the ${member} of ${method} is missing or of the wrong type`])
  expect(readJsonRpc(body, { isMcp: false, hasStrictToolNames: false }).error).toBeUndefined()
})

test('what MCP leaves open is left open', () => {
  for (const [method, params] of [
    [
      'initialize',
      { protocolVersion: '1', capabilities: {}, clientInfo: { name: 'a', version: '1', more: 1 } },
    ],
    ['tools/list', { cursor: 5 }],
    ['vendor/thing', { anything: [1] }],
    ['__proto__', {}],
  ]) {
    const body = Buffer.from(JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }))
    expect(readJsonRpc(body, { isMcp: true, hasStrictToolNames: true }).error).toBeUndefined()
  }
})

test('a tool call without an id has its tool too: a server may run it', () => {
  const body = Buffer.from('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"rm"}}')
  const { calls } = readJsonRpc(body, { isMcp: true, hasStrictToolNames: true })
  expect(calls).toEqual([{ method: 'tools/call', tool: 'rm' }])
})

describe('a request whose body is not read yet', () => {
  const enforced = { ...HOST, enforcement: 'enforce' }
  const rules = [{ allow: { method: 'x' } }]

  test.each([
    [
      { protocol: 'graphql', access: 'full' },
      { protocol: 'graphql', bytesMax: 65_536 },
    ],
    [{ protocol: 'graphql', access: 'full', graphql_max_body_bytes: 9 }, { bytesMax: 9 }],
    [
      { protocol: 'json-rpc', rules },
      { protocol: 'json-rpc', bytesMax: 65_536 },
    ],
    [{ protocol: 'json-rpc', rules, json_rpc: { max_body_bytes: 9 } }, { bytesMax: 9 }],
    [
      { protocol: 'mcp', rules, mcp: {} },
      { protocol: 'mcp', hasStrictToolNames: true },
    ],
    [{ protocol: 'mcp', rules, mcp: { strict_tool_names: false } }, { hasStrictToolNames: false }],
  ])('%j says how to read it, and passes nothing before, not even under audit', (fields, reading) => {
    const question = { method: 'POST', isBodyUnread: true }
    expect(ask(policyWith({ ...enforced, ...fields }), question)).toMatchObject({ verdict: 'deny', reading })
    expect(ask(policyWith({ ...HOST, ...fields }), question)).toMatchObject({ verdict: 'deny', reading })
  })

  test('REST needs none, nor what is refused anyway', () => {
    const rest = policyWith({ ...enforced, protocol: 'rest', access: 'full' })
    expect(ask(rest, { method: 'POST', isBodyUnread: true })).toMatchObject({ verdict: 'allow' })
    const graphql = policyWith({ ...enforced, protocol: 'graphql', access: 'full' })
    const other = ask(graphql, { method: 'POST', hostHeader: 'b.example.com', isBodyUnread: true })
    expect(other).not.toHaveProperty('reading')
  })

  test('only the upgrade of a websocket endpoint has messages to judge', () => {
    const upgrade = { method: 'GET', upgrade: true }
    const socket = policyWith({ ...enforced, protocol: 'websocket', access: 'read-only' })
    expect(ask(socket, upgrade)).toMatchObject({ verdict: 'allow', isWebSocket: true })
    const rest = policyWith({ ...enforced, protocol: 'rest', access: 'full' })
    expect(ask(rest, upgrade)).not.toHaveProperty('isWebSocket')
  })
})
