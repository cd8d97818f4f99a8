// Every door of a session and what it does not let through: the table of docs/credentials.md, performed row by row.
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { createServer as createTcpServer, connect as dial, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { AuditLine } from '../../src/broker/audit.ts'
import { Session } from '../../src/broker/session.ts'
import { digestOf } from '../../src/broker/token.ts'
import { type OpenSession, UpstreamDoors } from '../../src/broker/upstream-doors.ts'
import { detectRoute } from '../../src/model-route/route.ts'
import { parsePolicy } from '../../src/policy/read/load.ts'

const TOKEN = 'ghs_canary_of_the_doors_0123456789'
const POLICY = `
version: 1
network_policies:
  open:
    endpoints: [{ host: open.example, port: 443 }]
    binaries: [{ path: /usr/bin/curl }]
  reading:
    endpoints:
      - { host: read.example, port: 80, protocol: rest, enforcement: enforce, access: read-only }
    binaries: [{ path: /usr/bin/curl }]
`

interface Seen {
  line: string
  authorization: string | undefined
  body: string
}

let directory: string
let doors: UpstreamDoors
let server: OpenSession
let agent: Agent
const session = new Session({
  id: 'one',
  digest: digestOf('the-token'),
  needsToken: false,
  rights: {
    repositories: [
      { name: 'acme/app', access: 'write' },
      { name: 'acme/docs', access: 'read' },
    ],
    branchPrefix: 'agui/',
    limits: {},
    prices: {},
  },
})
const seen: Seen[] = []
const audited: AuditLine[] = []
const closers: (() => unknown)[] = []

/** Stands for GitHub, a model and whatever else: what comes here has passed. */
async function startUpstream(): Promise<string> {
  const upstream = createServer(async (asked, response) => {
    let body = ''
    for await (const piece of asked) body += piece
    const { method, url = '', headers } = asked
    seen.push({ line: `${method} ${url}`, authorization: headers.authorization, body })
    const isOpening = method === 'POST' && url.endsWith('/pulls')
    const answer = isOpening
      ? { number: 7, html_url: 'https://github.example/acme/app/pull/7' }
      : { ok: true }
    response.writeHead(url.endsWith('/unauthorized') ? 401 : isOpening ? 201 : 200, {
      ...{ 'content-type': 'application/json', 'set-cookie': 'a=b', 'x-oauth-scopes': 'repo' },
    })
    response.end(JSON.stringify(answer))
  })
  upstream.listen(0, '127.0.0.1')
  await once(upstream, 'listening')
  closers.push(
    () => upstream.closeAllConnections(),
    () => upstream.close(),
  )
  return `http://127.0.0.1:${(upstream.address() as AddressInfo).port}`
}

/** Takes the place of the network: names that nobody has are reached by it. */
async function startProxy(target: string): Promise<string> {
  const sockets = new Set<Socket>()
  const proxy = createTcpServer((client) => {
    sockets.add(client)
    client.once('data', (head) => {
      seen.push({ line: String(head).split('\r\n')[0] ?? '', authorization: undefined, body: '' })
      const onward = dial(Number(new URL(target).port), '127.0.0.1')
      sockets.add(onward)
      client.write('HTTP/1.1 200 OK\r\n\r\n')
      client.pipe(onward).pipe(client)
      for (const one of [client, onward]) one.on('error', () => one.destroy())
    })
  })
  proxy.listen(0, '127.0.0.1')
  await once(proxy, 'listening')
  closers.push(
    () => sockets.forEach((socket) => void socket.destroy()),
    () => proxy.close(),
  )
  return `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`
}

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agui-doors-'))
  const url = await startUpstream()
  const proxy = await startProxy(url)
  const env = {
    PATH: process.env['PATH'],
    ANTHROPIC_BASE_URL: url,
    ANTHROPIC_API_KEY: 'sk-ant-canary',
    GITHUB_SERVER_URL: url,
    GITHUB_API_URL: `${url}/api/v3`,
    GITHUB_TOKEN: TOKEN,
    HTTPS_PROXY: proxy,
    HTTP_PROXY: proxy,
    NO_PROXY: '127.0.0.1',
  }
  const { signal } = new AbortController()
  const route = await detectRoute({ env, wrappersDirectory: 'wrappers', signal })
  const { policy } = parsePolicy(POLICY, { file: 'policy.yaml' })
  doors = new UpstreamDoors({ route, env, policy, app: undefined, onTokenProblem: () => undefined })
  const socket = join(directory, 'gateway.sock')
  server = await doors.open({
    session,
    mode: 'private',
    folder: directory,
    listen: 'socket',
    audit: (line) => audited.push(line),
  })
  agent = new Agent({ connect: { socketPath: socket } })
})
afterAll(async () => {
  await agent.destroy()
  await server.close()
  await doors.close()
  for (const close of closers) close()
  rmSync(directory, { recursive: true })
})

interface Ask {
  method?: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE'
  path: string
  body?: unknown
  headers?: Record<string, string>
}

async function ask({ method = 'GET', path, body, headers = {} }: Ask) {
  const answer = await request(`http://broker${path}`, {
    ...{ method, dispatcher: agent, headers },
    body: body === undefined ? null : typeof body === 'string' ? body : JSON.stringify(body),
  })
  return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() }
}

/** The first line that comes back for these bytes. */
async function raw(bytes: string): Promise<string> {
  const socket = dial(join(directory, 'gateway.sock'))
  socket.write(bytes)
  const [first] = await once(socket, 'data')
  socket.destroy()
  return String(first).split('\r\n')[0] ?? ''
}
const connect = (target: string, more = ''): Promise<string> =>
  raw(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${more}\r\n`)
const plain = (method: string, url: string, more = ''): Promise<string> =>
  raw(`${method} ${url} HTTP/1.1\r\nHost: ${new URL(url).host}\r\n${more}Content-Length: 0\r\n\r\n`)

const pull = { title: 't', head: 'agui/x', base: 'main' }
const app = '/github/repos/acme/app'
const post = (path: string, body: unknown, headers?: Record<string, string>): Promise<number> =>
  ask({ method: 'POST', path, body, ...(headers && { headers }) }).then(({ status }) => status)
const at = (path: string, method: Ask['method'] = 'GET'): Promise<number> =>
  ask({ method, path }).then(({ status }) => status)
const statusOf = async (line: Promise<string>): Promise<number> => Number((await line).split(' ')[1])

/** By door and words: several inputs of one kind, and what each is answered. */
const ATTEMPTS: readonly [
  door: string,
  attempt: string,
  status: number,
  tries: readonly (() => Promise<number>)[],
][] = [
  [
    'every door',
    'another session’s token, or an ended one’s',
    403,
    [
      () => ask({ path: '/v1/models', headers: { 'x-api-key': 'other' } }).then(({ status }) => status),
      () => ask({ path: '/v1/models', headers: { authorization: 'Bearer o' } }).then(({ status }) => status),
    ],
  ],
  [
    'every door',
    'a request that two readers could read differently',
    400,
    [
      'Content-Length: 4\r\nTransfer-Encoding: chunked',
      'Content-Length: 4\r\nContent-Length: 5',
      'Content-Length: +4',
      'Transfer-Encoding: chunked, identity',
      'Transfer-Encoding : chunked',
      'X-A: b\r\n Transfer-Encoding: chunked',
      'X-A: b\nTransfer-Encoding: chunked',
      'X-A: b\rTransfer-Encoding: chunked',
    ].flatMap((headers) =>
      ['/v1/messages', '/git/acme/app.git/git-receive-pack', `${app}/pulls`].map(
        (path) => () => statusOf(raw(`POST ${path} HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n0\r\n\r\n`)),
      ),
    ),
  ],
  [
    'model',
    'a path that is not on the list',
    403,
    [
      () => at('/api/oauth/profile'),
      () => at('/v1/files'),
      () => at('/v1/messages'),
      () => at('/v1/organizations/x/api_keys'),
      () => at('/v1/messages/../files'),
      () => at('/v1/models/%2e%2e/files'),
      () => post('/v1/messages/batches', {}),
      () => at('/v1/models?limit=1'),
    ],
  ],
  [
    'git',
    'a repository that is not the session’s',
    403,
    [
      () => at('/git/acme/other.git/info/refs?service=git-upload-pack'),
      () => at('/git/acme/app/../other/info/refs?service=git-upload-pack'),
      () => at('/git/acme/app.git/HEAD'),
      () => at('/git/acme/app.wiki.git/info/refs?service=git-upload-pack'),
      () => at('/git/acme/..git/info/refs?service=git-upload-pack'),
    ],
  ],
  [
    'git',
    'a push where only reading is allowed',
    403,
    [
      () => at('/git/acme/docs.git/info/refs?service=git-receive-pack'),
      () => post('/git/acme/docs.git/git-receive-pack', '0000'),
    ],
  ],
  [
    'github',
    'another repository, another path, or no path at all',
    403,
    [
      () => at('/github/repos/acme/other'),
      () => at('/github/user'),
      () => at('/github/graphql', 'POST'),
      () => at('/github/repos/acme/app/../other'),
      () => at(`${app}/contents/%2e%2e/%2E%2E/other`),
      () => at(`${app}/contents/a%2Fb`),
      () => at('/github/repos/acme/%61pp'),
      () => at(`${app}//contents`),
      () => at('/github/repos/acme/app.git'),
      () => at('/github/repos/acme/app;x/contents'),
      () => at('/github//repos/acme/app'),
      () => at(`${app}/contents/a%00b`),
      () => at(`${app}/contents/..;/x?ref=a`),
    ],
  ],
  [
    'github',
    'what holds keys, secrets or people’s rights',
    403,
    [
      'actions/secrets',
      'secret-scanning/alerts',
      'hooks',
      'keys',
      'collaborators',
      'actions/artifacts/1/zip',
    ].map((rest) => () => at(`${app}/${rest}`)),
  ],
  [
    'github',
    'a write that is none of its pull requests’: a merge, contents, a ref, a review, a deletion',
    403,
    [
      () => at(`${app}/pulls/7/merge`, 'PUT'),
      () => at(`${app}/contents/a`, 'PUT'),
      () => post(`${app}/git/refs`, { ref: 'refs/heads/main' }),
      () => post(`${app}/pulls/7/reviews`, { event: 'APPROVE' }),
      () => post(`${app}/merges`, {}),
      () => post(`${app}/actions/workflows/1/dispatches`, {}),
      () => at(app, 'DELETE'),
      () => post(`${app}/pulls?x=1`, pull),
    ],
  ],
  [
    'github',
    'a pull request of another’s: edited or commented',
    403,
    [
      () =>
        ask({ method: 'PATCH', path: `${app}/pulls/8`, body: { title: 'x' } }).then(({ status }) => status),
      () => post(`${app}/issues/8/comments`, { body: 'x' }),
      () => post('/github/repos/acme/docs/pulls', pull),
    ],
  ],
  [
    'github',
    'a pull request from a branch that may not be pushed, or with more than its words',
    422,
    [
      ...['main', 'other:agui/x', 'agui/', 'agui/../main', 'acme:main', 'AGUI/x'].map(
        (head) => () => post(`${app}/pulls`, { ...pull, head }),
      ),
      () => post(`${app}/pulls`, { ...pull, head_repo: 'acme/other' }),
      () => post(`${app}/pulls`, { ...pull, Head: 'main' }),
      () => post(`${app}/pulls`, '{"title":"t","head":"main","head":"agui/x","base":"main"}'),
      () => post(`${app}/pulls`, 'no json'),
    ],
  ],
  [
    'egress',
    'a host, port or method that the policy does not allow',
    403,
    [
      () => statusOf(connect('other.example:443')),
      () => statusOf(connect('open.example:80')),
      () => statusOf(connect('127.0.0.1:80')),
      () => statusOf(connect('[::1]:443')),
      () => statusOf(connect('open.example.:443')),
      () => statusOf(connect('inference.local:443')),
      () => statusOf(connect('INFERENCE.LOCAL:443')),
      () => statusOf(plain('GET', 'http://other.example/')),
      () => statusOf(plain('POST', 'http://read.example/')),
    ],
  ],
  [
    'egress',
    'no session’s token',
    401,
    [() => statusOf(connect('open.example:443', 'X-Api-Key: other\r\n'))],
  ],
  [
    'egress',
    'what is no address',
    400,
    ['open.example', 'a@b:443', 'open.example:0', 'open.example:65536', '::1:443', 'http://x.example'].map(
      (target) => () => statusOf(connect(target)),
    ),
  ],
]

describe.each(ATTEMPTS)('%s: %s', (door, attempt, status, tries) => {
  test(`is ${status}, and nothing goes on`, async () => {
    const before = seen.length
    for (const one of tries) expect(await one()).toBe(status)
    expect(seen.slice(before)).toEqual([])
    expect(readFileSync('docs/credentials.md', 'utf8')).toContain(`| ${door} | ${attempt} | ${status} |`)
  })
})

test('the table names no attempt that is not made', () => {
  const text = readFileSync('docs/credentials.md', 'utf8').split('## What is refused')[1] ?? ''
  const rows = text.split('\n').filter((line) => /^\| (?!door|---)/.test(line))
  expect(rows).toEqual(ATTEMPTS.map(([door, attempt, status]) => `| ${door} | ${attempt} | ${status} |`))
})

describe('what is allowed', () => {
  test('reading the session’s repositories, by the broker’s token and without its cookies', async () => {
    const { status, headers } = await ask({
      path: `${app}/pulls?state=open&head=acme%3Aagui/x`,
      headers: { cookie: 'x=y', 'x-http-method-override': 'DELETE' },
    })
    expect([status, headers['set-cookie'], headers['x-oauth-scopes']]).toEqual([200, undefined, undefined])
    expect(seen.at(-1)).toMatchObject({
      line: 'GET /api/v3/repos/acme/app/pulls?state=open&head=acme%3Aagui/x',
      authorization: `Bearer ${TOKEN}`,
    })
    for (const rest of ['', '/contents/docs/a%20b.md', '/commits/main/status', '/actions/runs/1/jobs'])
      expect(await at(app + rest)).toBe(200)
    expect(await at('/github/repos/acme/docs/readme')).toBe(200)
  })

  test('opening a pull request of its own branch, then editing and commenting on that one', async () => {
    expect(await post(`${app}/pulls`, pull)).toBe(201)
    expect([...session.pulls]).toEqual([['acme/app#7', 'https://github.example/acme/app/pull/7']])
    const edit = await ask({ method: 'PATCH', path: `${app}/pulls/7`, body: { body: 'more' } })
    expect([edit.status, await post('/github/repos/Acme/App/issues/7/comments', { body: 'x' })]).toEqual([
      200, 200,
    ])
    expect((await ask({ method: 'PATCH', path: `${app}/pulls/7`, body: { state: 'closed' } })).status).toBe(
      422,
    )
  })

  test('hosts of the policy, though who dials is not known', async () => {
    expect(await connect('open.example:443')).toBe('HTTP/1.1 200 Connection Established')
    expect(await plain('GET', 'http://read.example/x')).toBe('HTTP/1.1 200 OK')
    expect(seen.slice(-3).map(({ line }) => line)).toContain('CONNECT open.example:443 HTTP/1.1')
    const lines = audited.filter(({ door }) => door === 'egress')
    expect(lines).toContainEqual(
      expect.objectContaining({
        method: 'GET',
        path: 'read.example:80/x',
        verdict: 'allow',
        rule: 'reading',
      }),
    )
    expect(lines).toContainEqual(
      expect.objectContaining({ method: 'CONNECT', path: 'other.example:443', verdict: 'deny' }),
    )
  })

  test('its certificates stand beside the socket', () => {
    expect(readFileSync(join(directory, 'openshell-ca.pem'), 'utf8')).toContain('BEGIN CERTIFICATE')
    expect(readFileSync(join(directory, 'ca-bundle.pem'), 'utf8').length).toBeGreaterThan(10_000)
  })
})

test('a public session has no such way: there the network is open', async () => {
  const folder = join(directory, 'p')
  mkdirSync(folder)
  const open = await doors.open({ session, mode: 'public', folder, listen: 'socket', audit: undefined })
  const client = dial(open.socket ?? '')
  client.write('CONNECT open.example:443 HTTP/1.1\r\nHost: open.example\r\n\r\n')
  expect(String((await once(client, 'data'))[0])).toMatch(/^HTTP\/1\.1 403 [\s\S]*in public mode/)
  client.destroy()
  await open.close()
})

test('an upstream that wants another credential is no question to the client, who has none', async () => {
  const answer = await ask({ path: `${app}/contents/unauthorized` })
  expect(answer).toMatchObject({ status: 403, text: expect.stringContaining('GITHUB_TOKEN') })
})

test('the audit names no credential, and ready asks every upstream', async () => {
  expect(JSON.stringify(audited)).not.toMatch(/canary/)
  expect(await doors.ready()).toEqual({ model: { ok: true }, git: { ok: true }, github: { ok: true } })
})

test('on loopback the token is asked for, by every door; the tenth wrong one shuts it', async () => {
  const owned = new Session({ ...session, id: 'two', digest: digestOf('mine'), needsToken: true })
  const folder = join(directory, 't')
  mkdirSync(folder)
  const open = await doors.open({
    session: owned,
    mode: 'private',
    folder,
    listen: 'loopback',
    audit: undefined,
  })
  const statusWith = async (headers: Record<string, string>, path = '/v1/models'): Promise<number> => {
    const answer = await request(`${open.url}${path}`, { headers })
    await answer.body.dump()
    return answer.statusCode
  }
  const git = '/git/acme/app.git/info/refs?service=git-upload-pack'
  const basic = `Basic ${Buffer.from('x:mine').toString('base64')}`
  expect([await statusWith({}), await statusWith({}, git)]).toEqual([403, 401])
  expect([
    await statusWith({ 'x-api-key': 'mine' }),
    await statusWith({ authorization: basic }, git),
  ]).toEqual([200, 200])
  for (let tries = 0; tries < 10; tries++) expect(await statusWith({ 'x-api-key': 'guess' })).toBe(403)
  expect(await statusWith({ 'x-api-key': 'mine' })).toBe(429)
  await open.close()
})
