import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { WebSocketServer } from 'ws'
import { loadMcpConfig } from '../../../src/claude/launch/mcp-config.ts'
import { findClaude } from '../../../src/model-route/route.ts'
import { run, runInput } from '../../support/client.ts'
import { openBench } from '../../support/runner.ts'

let directory = ''
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'agui-mcp-'))
})
afterEach(() => rmSync(directory, { recursive: true }))

const write = (text: string): string => {
  const file = join(directory, 'mcp.json')
  writeFileSync(file, text)
  return file
}

/** A program that is not there: whether a server is taken does not depend on it. */
const LOCAL = { command: '/nonexistent/mcp-server' }
const REMOTE = { type: 'http', url: 'http://127.0.0.1:9/mcp' }

/** Each by a name that says what it is; whether it is taken. */
const ENTRIES: readonly [string, unknown, boolean][] = [
  ['local', LOCAL, true],
  ['local with everything', { ...LOCAL, type: 'stdio', args: ['-x'], env: { A: 'b' }, timeout: 5000 }, true],
  ['always loaded', { ...LOCAL, alwaysLoad: true }, true],
  ['with a folder', { ...LOCAL, cwd: '/' }, true],
  ['with a folder that is a number', { ...LOCAL, cwd: 3 }, true],
  ['with a key that nobody knows', { ...LOCAL, disabled: true, foo: 1 }, true],
  ['local with type and address', { ...LOCAL, type: 'stdio', url: 'http://127.0.0.1:9' }, true],
  ['no type, command and address', { ...LOCAL, url: 'http://127.0.0.1:9' }, true],
  ['name.with-dot é', LOCAL, true],
  ['', LOCAL, true],
  ['ide', LOCAL, true],
  ['http', REMOTE, true],
  ['streamable-http', { ...REMOTE, type: 'streamable-http' }, true],
  ['sse', { ...REMOTE, type: 'sse' }, true],
  ['ws', { type: 'ws', url: 'ws://127.0.0.1:9/mcp', headers: { 'x-own': 'a' } }, true],
  ['ws without an address', { type: 'ws' }, false],
  ['ws with a header that is a number', { type: 'ws', url: 'ws://127.0.0.1:9', headers: { a: 1 } }, false],
  ['headers', { ...REMOTE, headers: { 'x-own': 'a' }, headersHelper: '/nonexistent/helper' }, true],
  ['oauth', { ...REMOTE, oauth: { clientId: 'c', callbackPort: 4711, scopes: 'a b' } }, true],
  ['an address that is none', { ...REMOTE, url: 'nope' }, true],
  ['an address in a variable', { ...REMOTE, url: `$${'{AGUI_NOT_SET}'}` }, true],
  ['workspace', LOCAL, false],
  ['claude-in-chrome', LOCAL, false],
  ['no type', { url: 'http://127.0.0.1:9' }, false],
  ['type streamableHttp', { ...REMOTE, type: 'streamableHttp' }, false],
  ['type unknown', { ...LOCAL, type: 'foo' }, false],
  ['type null', { ...LOCAL, type: null }, false],
  ['http without an address', { type: 'http' }, false],
  ['header that is a number', { ...REMOTE, headers: { a: 1 } }, false],
  ['helper that is none', { ...REMOTE, headersHelper: ['x'] }, false],
  ['oauth over http', { ...REMOTE, oauth: { authServerMetadataUrl: 'http://a.example' } }, false],
  ['timeout 0', { ...LOCAL, timeout: 0 }, false],
  ['timeout as text', { ...LOCAL, timeout: '5' }, false],
  ['alwaysLoad as text', { ...LOCAL, alwaysLoad: 'yes' }, false],
  ['empty command', { command: '' }, false],
  ['arguments as text', { ...LOCAL, args: 'x' }, false],
  ['variable that is a number', { ...LOCAL, env: { X: 1 } }, false],
  ['null', null, false],
  ['a list', [], false],
  ['a text', 'x', false],
  ['empty', {}, false],
]

const ALL = JSON.stringify({ mcpServers: Object.fromEntries(ENTRIES.map(([name, entry]) => [name, entry])) })

/** What the bare Claude Code makes of a file: the servers' names, or its last words. */
async function bare(file: string): Promise<{ names: string[] } | { refused: string }> {
  const claude = await findClaude({
    env: process.env,
    wrappersDirectory: 'wrappers',
    signal: new AbortController().signal,
  })
  const args = [
    '-p',
    'hi',
    '--output-format',
    'stream-json',
    '--verbose',
    '--strict-mcp-config',
    '--mcp-config',
    file,
  ]
  const env = {
    PATH: process.env['PATH'],
    HOME: directory,
    ANTHROPIC_API_KEY: 'none',
    ANTHROPIC_BASE_URL: 'http://127.0.0.1:9',
    CLAUDE_CODE_MAX_RETRIES: '0',
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
    MCP_TIMEOUT: '1000',
  }
  return await new Promise((resolve) => {
    const child = execFile(claude, args, { cwd: directory, env }, (_error, stdout, stderr) => {
      const line = stdout.split('\n').find((text) => text.includes('"subtype":"init"'))
      if (line === undefined) resolve({ refused: stderr })
      else resolve({ names: JSON.parse(line).mcp_servers.map(({ name }: { name: string }) => name) })
    })
    child.stdin?.end()
  })
}

describe('a file of servers', () => {
  test('good ones are taken as the bare Claude Code takes them, bad ones are left out and named', async () => {
    const file = write(ALL)
    const taken = ENTRIES.filter(([, , isTaken]) => isTaken).map(([name]) => name)
    const { servers, notes } = await loadMcpConfig(file)
    expect(Object.keys(servers).sort()).toEqual(taken.toSorted())
    for (const [name, , isTaken] of ENTRIES)
      expect(
        notes.some((note) => note.startsWith(`The MCP server "${name}" is left out: `)),
        name,
      ).toBe(!isTaken)
    const said = await bare(file)
    expect('names' in said ? said.names.toSorted() : said).toEqual(taken.toSorted())
  })

  test('what Claude Code acts on reaches it whole', async () => {
    const { servers } = await loadMcpConfig(write(ALL))
    expect(servers).toMatchObject({
      'local with everything': { args: ['-x'], env: { A: 'b' }, timeout: 5000 },
      'always loaded': { alwaysLoad: true },
      'streamable-http': { type: 'http' },
      headers: { headers: { 'x-own': 'a' }, headersHelper: '/nonexistent/helper' },
      oauth: { oauth: { clientId: 'c', callbackPort: 4711, scopes: 'a b' } },
    })
  })

  test('what has no effect in Claude Code is said', async () => {
    const servers = {
      a: { ...LOCAL, cwd: '/' },
      b: { ...LOCAL, timeout: 999 },
      c: { ...LOCAL, timeout: 1000 },
    }
    const { notes } = await loadMcpConfig(write(JSON.stringify({ mcpServers: servers })))
    expect(notes).toEqual([
      expect.stringMatching(/^Of the MCP server "a" "cwd" has no effect/),
      expect.stringMatching(/^Of the MCP server "b" "timeout" has no effect/),
    ])
  })

  test('a name of ours is left out, and a value is not repeated', async () => {
    const servers = { agui: LOCAL, ui_0a: LOCAL, bad: { ...LOCAL, env: { KEY: ['s3cret'] } } }
    const { servers: taken, notes } = await loadMcpConfig(write(JSON.stringify({ mcpServers: servers })))
    expect(taken).toEqual({})
    expect(notes).toHaveLength(3)
    expect(notes.join()).not.toContain('s3cret')
  })

  test('the variables that it refers to are known, with and without a default', async () => {
    const text = JSON.stringify({ mcpServers: { a: { ...LOCAL, args: [`$${'{ONE}'}`, `$${'{TWO:-2}'}`] } } })
    expect((await loadMcpConfig(write(text))).variables).toEqual(['ONE', 'TWO'])
  })
})

describe('a file that is none', () => {
  test.each([
    [
      'servers in the place of mcpServers',
      JSON.stringify({ servers: { a: LOCAL } }),
      /Claude Code reads "mcpServers"/,
    ],
    ['servers without a frame', JSON.stringify({ a: LOCAL }), /object with "mcpServers"/],
    ['a list of servers', JSON.stringify({ mcpServers: [LOCAL] }), /object with "mcpServers"/],
    ['null', JSON.stringify({ mcpServers: null }), /object with "mcpServers"/],
    ['a list', '[]', /object with "mcpServers"/],
    ['an empty file', '', /not JSON/],
    ['a comment', `// s3cret\n${JSON.stringify({ mcpServers: {} })}`, /not JSON/],
  ])('%s is refused with the reason, without its text', async (_what, text, reason) => {
    const error = await loadMcpConfig(write(text)).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'config_invalid', message: expect.stringMatching(reason) })
    expect(String(error)).not.toContain('s3cret')
  })

  test('the bare Claude Code refuses servers in the place of mcpServers too', async () => {
    const file = write(JSON.stringify({ servers: { a: LOCAL } }))
    expect(await bare(file)).toEqual({ refused: expect.stringContaining('found "servers" instead') })
  })
})

test.each([
  ['a byte order mark', `\uFEFF${JSON.stringify({ mcpServers: { a: LOCAL } })}`, ['a']],
  ['both frames', JSON.stringify({ servers: { a: LOCAL }, mcpServers: { b: LOCAL } }), ['b']],
  ['Windows line ends', '{\r\n"mcpServers": {}\r\n}', []],
  ['nothing', '{}', []],
])('%s is no harm', async (_what, text, names) => {
  expect(Object.keys((await loadMcpConfig(write(text))).servers)).toEqual(names)
})

test('no file is no servers', async () => {
  expect(await loadMcpConfig(join(directory, 'none'))).toEqual({ servers: {}, variables: [], notes: [] })
  expect(await loadMcpConfig(undefined)).toEqual({ servers: {}, variables: [], notes: [] })
})

test('a server behind a WebSocket is reached through the runner, and its tools with it', async () => {
  const bench = await openBench()
  onTestFinished(() => bench.close())
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0 })
  onTestFinished(() => server.close())
  await once(server, 'listening')
  const asked: string[] = []
  server.on('connection', (socket, request) => {
    asked.push(String(request.headers['x-own']))
    socket.on('message', (data) => {
      const { id, method, params } = JSON.parse(String(data))
      asked.push(method)
      const { protocolVersion } = params ?? {}
      const serverInfo = { name: 'socket', version: '1' }
      if (method === 'initialize')
        socket.send(
          JSON.stringify({
            jsonrpc: '2.0',
            id,
            result: { protocolVersion, capabilities: { tools: {} }, serverInfo },
          }),
        )
      else if (id !== undefined)
        socket.send(
          JSON.stringify({
            jsonrpc: '2.0',
            id,
            result: { tools: [{ name: 'hi', inputSchema: { type: 'object' } }] },
          }),
        )
    })
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const socket = {
    type: 'ws',
    url: `ws://127.0.0.1:${port}/mcp`,
    headers: { 'x-own': 'yes' },
    alwaysLoad: true,
  }
  const file = write(JSON.stringify({ mcpServers: { socket } }))
  const { url } = await bench.start({ PAYLOAD_MCP_CONFIG_FILE: file, POLICY_ENFORCEMENT: 'off' })
  await run(url, runInput('socket', 'hello'))
  expect(asked).toEqual(['yes', 'initialize', 'notifications/initialized', 'tools/list'])
  expect(JSON.stringify(bench.gateway.requests.at(-1)?.body)).toContain('mcp__socket__hi')
})

test('through the runner the helper gives the headers of a server, and a bad one beside it is told', async () => {
  const bench = await openBench()
  onTestFinished(() => bench.close())
  const seen: unknown[] = []
  const server = createServer((request, response) => {
    seen.push(request.headers['x-from-helper'])
    response.writeHead(500).end()
  }).listen(0, '127.0.0.1')
  onTestFinished(() => void server.close())
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  const helper = join(bench.workspace, 'helper.sh')
  writeFileSync(helper, '#!/bin/sh\necho \'{"x-from-helper": "yes"}\'\n')
  chmodSync(helper, 0o755)
  const file = write(
    JSON.stringify({
      mcpServers: {
        good: { type: 'streamable-http', url: `http://127.0.0.1:${port}/mcp`, headersHelper: helper },
        bad: { type: 'carrier-pigeon' },
      },
    }),
  )
  const env = { PAYLOAD_MCP_CONFIG_FILE: file, POLICY_ENFORCEMENT: 'off' }
  const runner = await bench.start(env)
  await runner.line(({ msg }) =>
    String(msg).startsWith('The MCP server "bad" is left out: "type" has to be one of'),
  )
  await run(runner.url, runInput('mcp', 'hello'))
  expect(seen).toContain('yes')
  const ready = await (await fetch(`${runner.url}/ready`)).json()
  expect(ready).toMatchObject({
    checks: expect.arrayContaining([
      { name: 'mcp_servers', ok: true, message: expect.stringMatching(/^good; .*"bad" is left out/) },
    ]),
  })
  const doctor = bench.spawn(env, ['doctor'])
  await doctor.exited
  expect(doctor.stderr()).toContain('The MCP server \\"bad\\" is left out')
})
