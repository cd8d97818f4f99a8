// Requests that are judged by what their bodies say. Whatever the client does, what the server hears was judged.
import { gzipSync } from 'node:zlib'
import { Client } from '@modelcontextprotocol/sdk/client/index.js'
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js'
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js'
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js'
import { ProxyAgent, fetch as undiciFetch } from 'undici'
import { afterEach, describe, expect, test } from 'vitest'
import { policyOf } from '../policy/policy-source.ts'
import { type AskOptions, type InspectedWorld, openInspectedWorld, TOOL } from './inspected-world.ts'

const RPC = 'rpc.example.test'
const GRAPHQL = 'graphql.example.test'
const MCP = 'mcp.example.test'
const AUDITED = 'audited.example.test'
const REST = 'rest.example.test'

const enforced = { port: 443, enforcement: 'enforce' }
const POLICY = policyOf({
  version: 1,
  network_policies: {
    bodies: {
      endpoints: [
        {
          ...{ ...enforced, host: RPC, protocol: 'json-rpc', json_rpc: { max_body_bytes: 4096 } },
          rules: [{ allow: { method: 'eth_call' } }, { allow: { method: 'eth_chainId' } }],
        },
        {
          ...{ ...enforced, host: GRAPHQL, protocol: 'graphql' },
          rules: [
            { allow: { operation_type: 'query' } },
            { allow: { operation_type: 'mutation', fields: ['addStar'] } },
          ],
        },
        {
          ...{ ...enforced, host: MCP, protocol: 'mcp', mcp: { allow_all_known_mcp_methods: true } },
          rules: [{ allow: { tool: 'read_*' } }],
        },
        {
          ...{ host: AUDITED, port: 443, protocol: 'json-rpc' },
          rules: [{ allow: { method: 'eth_call' } }],
        },
        { ...enforced, host: REST, protocol: 'rest', access: 'read-only' },
        {
          ...{ ...enforced, host: 'plain.example.test', port: 80, protocol: 'json-rpc' },
          rules: [{ allow: { method: 'eth_call' } }],
        },
      ],
      binaries: [{ path: TOOL }],
    },
  },
})

const opened: { close(): unknown }[] = []
afterEach(async () => {
  for (const entry of opened.splice(0)) await entry.close()
})

async function openWorld(...args: Parameters<typeof openInspectedWorld> | []): Promise<InspectedWorld> {
  const world = await openInspectedWorld(args[0] ?? POLICY, args[1])
  opened.push(world)
  return world
}

const JSON_TYPE = { 'content-type': 'application/json' }
const call = (method: string, rest: object = {}) => JSON.stringify({ jsonrpc: '2.0', id: 1, method, ...rest })
const jsonOf = (body: string | Buffer, headers: AskOptions['headers'] = {}): AskOptions => ({
  headers: { ...JSON_TYPE, ...headers },
  body,
})

/** A whole request as bytes. */
function raw(host: string, body: string, head: readonly string[] = []): string {
  const length = head.some((line) => /^(content-length|transfer-encoding):/i.test(line))
    ? []
    : [`Content-Length: ${Buffer.byteLength(body)}`]
  const lines = ['POST / HTTP/1.1', `Host: ${host}`, 'Content-Type: application/json', ...length, ...head]
  return `${lines.join('\r\n')}\r\n\r\n${body}`
}
const CLOSE = ['Connection: close']
const FORBIDDEN = call('eth_sendTransaction', { secret: 's3cret' })

describe('JSON-RPC', () => {
  test('an allowed call arrives byte for byte, its length the one that was read', async () => {
    const { ask, heard, decisions } = await openWorld()
    const body = `  {"jsonrpc" : "2.0",\n"id":1, "method":"eth_c\\u0061ll", "params":[{"a":1.00}] }\t`
    expect(await ask(RPC, jsonOf(body))).toMatchObject({ status: 200 })
    expect(heard).toEqual([`POST / ${body}`.trim()])
    expect(decisions.map(({ verdict, method }) => [verdict, method])).toEqual([
      ['allow', 'CONNECT'],
      ['allow', 'POST'],
    ])
  })

  test('a forbidden call is refused with the usual body and told once, without anything of its own body', async () => {
    const { ask, heard, decisions } = await openWorld()
    const { status, body } = await ask(RPC, { ...jsonOf(FORBIDDEN), path: '/?key=s3cret' })
    expect(status).toBe(403)
    expect(JSON.parse(body)).toMatchObject({ error: 'policy_denied', policy: 'bodies', layer: 'l7' })
    expect(heard).toEqual([])
    expect(decisions.filter(({ verdict }) => verdict === 'deny')).toHaveLength(1)
    expect(decisions.at(-1)).toMatchObject({ verdict: 'deny', method: 'POST', path: '/', rule: 'bodies' })
    expect(body + JSON.stringify(decisions)).not.toMatch(/s3cret|eth_send/)
  })

  test.each<[string, AskOptions]>([
    ['the name in unicode escapes', jsonOf(call('eth_call').replace('eth_call', 'eth_s\\u0065nd'))],
    ['the method twice, the allowed one last', jsonOf(`{"method":"eth_send",${call('eth_call').slice(1)}`)],
    [
      'the method twice, the allowed one first',
      jsonOf(`${call('eth_call').slice(0, -1)},"method":"eth_send"}`),
    ],
    ['the second in escapes', jsonOf(`${call('eth_call').slice(0, -1)},"m\\u0065thod":"eth_send"}`)],
    ['the second in other case', jsonOf(call('eth_call', { Method: 'eth_send' }))],
    ["the second in Unicode's other case", jsonOf(call('eth_call', { 'param\u017f': ['x'] }))],
    ['a batch with one forbidden call', jsonOf(`[${call('eth_call')},${call('eth_send')}]`)],
    ['an empty batch', jsonOf('[]')],
    ['a batch in a batch', jsonOf(`[[${call('eth_call')}]]`)],
    ['two bodies', jsonOf(`${call('eth_call')}${call('eth_send')}`)],
    ['two bodies, a line apart', jsonOf(`${call('eth_call')}\n${call('eth_send')}`)],
    [
      'deep nesting',
      jsonOf(call('eth_call').replace('}', `,"params":${'['.repeat(500)}${']'.repeat(500)}}`)),
    ],
    ['no body', jsonOf('')],
    ['a body longer than may be', jsonOf(call('eth_call', { params: ['x'.repeat(5000)] }))],
    ['a response', jsonOf('{"jsonrpc":"2.0","id":1,"result":1}')],
    ['another version', jsonOf('{"jsonrpc":"1.0","id":1,"method":"eth_call"}')],
    ['a byte order mark', jsonOf(`\ufeff${call('eth_call')}`)],
    ['half a character', jsonOf(call('eth_call').replace('"id":1', '"id":"\\ud800"'))],
    ['bytes that are no UTF-8', jsonOf(Buffer.from(call('eth_call', { x: 'é' }), 'latin1'))],
    ['UTF-16', jsonOf(Buffer.from(call('eth_call'), 'utf16le'))],
    ['gzip', jsonOf(gzipSync(call('eth_call')), { 'content-encoding': 'gzip' })],
    ['a compression that it does not have', jsonOf(call('eth_call'), { 'content-encoding': 'deflate' })],
    ['another charset', jsonOf(call('eth_call'), { 'content-type': 'application/json; charset=utf-7' })],
    ['a form', jsonOf(call('eth_call'), { 'content-type': 'application/x-www-form-urlencoded' })],
    ['two types', jsonOf(call('eth_call'), { 'content-type': ['application/json', 'text/plain'] })],
    ['a GET', { method: 'GET' }],
    ['a GET that has a body', { ...jsonOf(call('eth_call')), method: 'GET' }],
    ['a PUT', { ...jsonOf(call('eth_call')), method: 'PUT' }],
  ])('refused: %s', async (_what, options) => {
    const { ask, heard } = await openWorld()
    expect(await ask(RPC, options)).toMatchObject({ status: 403 })
    expect(heard).toEqual([])
  })

  test('a batch of allowed calls passes, and what comes in chunks leaves with a length', async () => {
    const lengths: (string | undefined)[] = []
    const { talk } = await openWorld(POLICY, (request, response) => {
      lengths.push(request.headers['content-length'], request.headers['transfer-encoding'])
      response.end('ok')
    })
    const body = `[${call('eth_call')},${call('eth_chainId')}]`
    const half = body.slice(0, 20)
    const rest = body.slice(20)
    const chunks = `${half.length.toString(16)}\r\n${half}\r\n${rest.length.toString(16)};x=y\r\n${rest}\r\n0\r\nTrailer: z\r\n\r\n`
    const said = await talk(RPC, raw(RPC, chunks, ['Transfer-Encoding: chunked', ...CLOSE]))
    expect(said).toMatch(/^HTTP\/1.1 200 /)
    expect(lengths).toEqual([String(body.length), undefined])
  })

  test('chunks are counted too', async () => {
    const { talk, heard } = await openWorld()
    const body = call('eth_call', { params: ['x'.repeat(5000)] })
    const chunks = `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`
    const said = await talk(RPC, raw(RPC, chunks, ['Transfer-Encoding: chunked', ...CLOSE]))
    expect(said).toMatch(/^HTTP\/1.1 403 .*longer than 4096 bytes/s)
    expect(heard).toEqual([])
  })

  test('audit lets a forbidden call pass as audit, and still refuses what nobody can read', async () => {
    const { ask, heard, decisions } = await openWorld()
    expect(await ask(AUDITED, jsonOf(FORBIDDEN))).toMatchObject({ status: 200 })
    expect(decisions.at(-1)).toMatchObject({ verdict: 'audit', method: 'POST' })
    expect(await ask(AUDITED, jsonOf('{'))).toMatchObject({ status: 403 })
    expect(heard).toEqual([`POST / ${FORBIDDEN}`])
  })

  test('in the absolute form of plain http it is judged in the same way', async () => {
    const { proxyPort, heard } = await openWorld()
    const dispatcher = new ProxyAgent({ uri: `http://127.0.0.1:${proxyPort}`, proxyTunnel: false })
    opened.push(dispatcher)
    const options = { method: 'POST', headers: JSON_TYPE, dispatcher }
    const refused = await undiciFetch('http://plain.example.test/', { ...options, body: FORBIDDEN })
    expect([refused.status, heard]).toEqual([403, []])
    // The dialled server speaks TLS; that it was dialled is the point.
    const passed = await undiciFetch('http://plain.example.test/', { ...options, body: call('eth_call') })
    expect(passed.status).not.toBe(403)
  })
})

describe('smuggling', () => {
  test('a second request behind the first is judged by itself', async () => {
    const { talk, heard } = await openWorld()
    const said = await talk(RPC, raw(RPC, call('eth_call')) + raw(RPC, FORBIDDEN, CLOSE))
    expect(said).toMatch(/^HTTP\/1.1 200 .*HTTP\/1.1 403 /s)
    expect(heard).toEqual([`POST / ${call('eth_call')}`])
  })

  test.each([
    ['both lengths', ['Content-Length: 5', 'Transfer-Encoding: chunked']],
    ['two lengths', ['Content-Length: 5', 'Content-Length: 50']],
    ['a length that is none', ['Content-Length: +5']],
    ['chunked in another case and a blank before the colon', ['Transfer-Encoding : chunked']],
    ['another coding under the chunks', ['Transfer-Encoding: gzip, chunked']],
    ['chunked twice', ['Transfer-Encoding: chunked', 'Transfer-Encoding: chunked']],
  ])('%s: nothing arrives', async (_what, head) => {
    const { talk, heard } = await openWorld()
    const body = `0\r\n\r\n${raw(RPC, FORBIDDEN)}`
    const said = await talk(RPC, raw(RPC, body, [...head, ...CLOSE]))
    expect(said).not.toContain('heard')
    expect(heard).toEqual([])
  })

  test('a body longer than its length is the next request, which is none', async () => {
    const { talk, heard } = await openWorld()
    const body = call('eth_call')
    await talk(RPC, raw(RPC, `${body}${FORBIDDEN}`, [`Content-Length: ${body.length}`]))
    expect(heard.join()).not.toContain('eth_send')
  })

  test('a body shorter than its length never leaves', async () => {
    const { open, heard } = await openWorld()
    const client = await open(RPC)
    client.end(raw(RPC, call('eth_call'), ['Content-Length: 500']))
    await new Promise((resolve) => client.resume().once('close', resolve))
    expect(heard).toEqual([])
  })

  test.each([REST, RPC])('a length that the Connection header takes away (%s)', async (host) => {
    const { talk, heard } = await openWorld()
    const hidden = `POST /hidden HTTP/1.1\r\nHost: ${host}\r\nContent-Length: 0\r\n\r\n`
    const head = [`GET / HTTP/1.1`, `Host: ${host}`, 'Connection: content-length, close']
    await talk(host, `${[...head, `Content-Length: ${hidden.length}`].join('\r\n')}\r\n\r\n${hidden}`)
    expect(heard.filter((line) => line.startsWith('POST /hidden'))).toEqual([])
  })
})

describe('GraphQL', () => {
  const document = (query: string, rest: object = {}): AskOptions =>
    jsonOf(JSON.stringify({ query, ...rest }))
  const inTarget = (parameters: Record<string, string>): string =>
    `/graphql?${new URLSearchParams(parameters)}`

  test.each<[string, AskOptions]>([
    ['a query', document('query Q($a: Int = 3) @x { viewer { login(a: $a, b: {c: [1.5e3, "}"]}) } }')],
    ['a mutation that is listed', document('mutation { star: addStar(id: "x") { id } }')],
    ['one operation of two', document('query A { a } mutation B { drop }', { operationName: 'A' })],
    ['a batch', jsonOf(JSON.stringify([{ query: '{ a }' }, { query: '{ b }' }]))],
    ['a GET', { method: 'GET', path: inTarget({ query: '{ viewer { login } }' }) }],
  ])('passes: %s', async (_what, options) => {
    const { ask, heard } = await openWorld()
    expect(await ask(GRAPHQL, options)).toMatchObject({ status: 200 })
    expect(heard).toEqual([`${options.method ?? 'POST'} ${options.path ?? '/'} ${options.body ?? ''}`.trim()])
  })

  test.each<[string, AskOptions]>([
    ['another mutation', document('mutation { drop }')],
    ['the same under the alias of a listed one', document('mutation { addStar: drop }')],
    ['beside a listed one', document('mutation { addStar drop }')],
    ['in a fragment', document('mutation { ...F } fragment F on M { drop }')],
    ['in an inline fragment', document('mutation { ... on M { ... { drop } } }')],
    ['behind a comment', document('mutation { addStar # }\r drop }')],
    ['behind a string that looks like its end', document('mutation { addStar(a: "\\"}") drop }')],
    ['behind a block string', document('mutation { addStar(a: """\\""" } query { """) drop }')],
    ['chosen by its name', document('query A { a } mutation B { drop }', { operationName: 'B' })],
    ['two operations and no name', document('query A { a } query B { b }')],
    ['two of one name', document('query A { a } mutation A { drop }', { operationName: 'A' })],
    ['two fragments of one name', document('{ ...F } fragment F on Q { a } fragment F on Q { b }')],
    ['a fragment that is not there', document('{ ...F }')],
    [
      'a second document in the target',
      { ...document('{ a }'), path: inTarget({ query: 'mutation { drop }' }) },
    ],
    ['the name of the operation in the target', { ...document('{ a }'), path: '/?operationName%5B%5D=B' }],
    ['a stored document beside it', document('{ a }', { id: 'drop' })],
    [
      'a hash beside it that is not its own',
      document('{ a }', { extensions: { persistedQuery: { version: 1, sha256Hash: 'ab' } } }),
    ],
    ['a document that is no text', jsonOf('{"query":{"a":1},"id":"x"}')],
    ['a document in other case beside it', jsonOf('{"query":"{a}","Query":"mutation{drop}"}')],
    ['a document twice', jsonOf('{"query":"{a}","query":"mutation{drop}"}')],
    ['a batch with one forbidden', jsonOf('[{"query":"{a}"},{"query":"mutation{drop}"}]')],
    ['no grammar', document('{ a ')],
    ['deep nesting', document(`${'{a'.repeat(200)}${'}'.repeat(200)}`)],
    ['very many tokens', document(`{${'a '.repeat(21_000)}}`)],
    ['a body longer than may be', document(`{ a(b: "${'x'.repeat(70_000)}") }`)],
    ['a type definition', document('type A { a: Int }')],
    ['application/graphql', { headers: { 'content-type': 'application/graphql' }, body: '{ a }' }],
    [
      'a form that is JSON too',
      {
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        body: '{"query":"{a}","x":"&query=mutation{drop}&y="}',
      },
    ],
    ['a mutation by GET', { method: 'GET', path: inTarget({ query: 'mutation { drop }' }) }],
    [
      'a parameter twice',
      { method: 'GET', path: `${inTarget({ query: '{ a }' })}&query=mutation%7Bdrop%7D` },
    ],
    ['a parameter behind a semicolon', { method: 'GET', path: `${inTarget({ query: '{ a }' })};query=x` }],
    ['a PUT', { ...document('{ a }'), method: 'PUT' }],
  ])('refused: %s', async (_what, options) => {
    const { ask, heard, decisions } = await openWorld()
    const { status, body } = await ask(GRAPHQL, options)
    expect(status).toBe(403)
    expect(heard).toEqual([])
    expect(body + JSON.stringify(decisions)).not.toContain('drop')
  })
})

describe('MCP over streamable HTTP', () => {
  const answers = { read_file: 'text of the file', write_file: 'written' }

  async function openMcp() {
    const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: () => 'session-1' })
    const server = new McpServer({ name: 'files', version: '1' })
    for (const [name, text] of Object.entries(answers)) {
      server.registerTool(name, {}, () => ({ content: [{ type: 'text', text }] }))
    }
    await server.connect(transport)
    const methods: (string | undefined)[] = []
    const world = await openWorld(POLICY, (request, response) => {
      methods.push(request.method)
      void transport.handleRequest(request, response)
    })
    const dispatcher = new ProxyAgent({
      uri: `http://127.0.0.1:${world.proxyPort}`,
      requestTls: { ca: world.authority },
    })
    const client = new Client({ name: 'test', version: '1' })
    const link = new StreamableHTTPClientTransport(new URL(`https://${MCP}/mcp`), {
      // Its types are Node's own fetch's, which is another copy of the same.
      fetch: ((url, init) => undiciFetch(String(url), { ...init, dispatcher } as never)) as typeof fetch,
    })
    opened.push(client, server, { close: () => dispatcher.destroy() })
    return { world, server, client, link, methods }
  }

  test('a real client and a real server: an allowed tool answers, a forbidden one is refused', async () => {
    const { world, client, link } = await openMcp()
    await client.connect(link)
    expect(link.sessionId).toBe('session-1')
    expect(await client.callTool({ name: 'read_file' })).toMatchObject({
      content: [{ text: answers.read_file }],
    })
    await expect(client.callTool({ name: 'write_file' })).rejects.toThrow('policy_denied')
    expect(world.decisions.at(-1)).toMatchObject({ verdict: 'deny', method: 'POST', path: '/mcp' })
  })

  test("the server's own stream is passed as it comes, and the end of a session is not", async () => {
    const { server, client, link, methods } = await openMcp()
    const changed = new Promise<void>((resolve) => {
      client.fallbackNotificationHandler = async () => resolve()
    })
    await client.connect(link)
    // The stream is a GET of its own, opened behind the answer to `initialized`.
    await expect.poll(() => methods).toContain('GET')
    server.sendToolListChanged()
    await changed
    await expect(link.terminateSession()).rejects.toThrow()
    expect(methods).not.toContain('DELETE')
  })

  test.each<[string, AskOptions]>([
    ['a tool that is not listed', jsonOf(call('tools/call', { params: { name: 'write_file' } }))],
    [
      'the same without an id',
      jsonOf('{"jsonrpc":"2.0","method":"tools/call","params":{"name":"write_file"}}'),
    ],
    ['two names', jsonOf(call('tools/call', { params: { name: 'read_file', Name: 'write_file' } }))],
    ['no name', jsonOf(call('tools/call'))],
    ['a name that is none', jsonOf(call('tools/call', { params: { name: 'read_ write' } }))],
    ['params that are a list', jsonOf(call('tools/call', { params: ['read_file'] }))],
    ['an id that is null', jsonOf('{"jsonrpc":"2.0","id":null,"method":"ping"}')],
    ['a GET that asks for no stream', { method: 'GET', headers: { accept: 'application/json' } }],
    ['DELETE', { method: 'DELETE', headers: { 'mcp-session-id': 'x' } }],
  ])('refused: %s', async (_what, options) => {
    const { ask, heard } = await openWorld()
    expect(await ask(MCP, options)).toMatchObject({ status: 403 })
    expect(heard).toEqual([])
  })
})
