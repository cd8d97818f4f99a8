// The broker alone: sessions by its control socket, git and the model through a session's own.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from 'node:fs'
import { type AddressInfo, createServer, connect as dial } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Anthropic from '@anthropic-ai/sdk'
import { Agent, request } from 'undici'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import { type GitServer, git, startGitServer } from '../support/git-server.ts'
import { KEY } from './door-run.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const PASSWORD = 'ghs_canary_of_the_broker_0123456789'

let directory: string
let server: GitServer
let model: Awaited<ReturnType<typeof startMockGateway>>
let gateway: ReturnType<typeof spawn>
let printed = ''
const closers: (() => unknown)[] = []
const at = (name: string): string => join(directory, name)

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'agui-gw-'))
  server = await startGitServer({ password: PASSWORD })
  server.addRepository('acme/app', { main: { 'README.md': 'one' } })
  server.addRepository('acme/secret', { main: { 'README.md': 'two' } })
  for (const name of ['acme/app', 'acme/secret']) server.git(name, 'config', 'http.receivepack', 'true')
  server.git('acme/app', 'config', 'receive.advertisePushOptions', 'true')
  model = await startMockGateway({ directory: at('mock') })
  gateway = spawn(
    process.execPath,
    [MAIN, 'gateway', '--control', 'c.sock', '--secret-file', 'secret', '--audit', 'audit'],
    {
      cwd: directory,
      env: {
        ...{
          PATH: process.env['PATH'] ?? '',
          HOME: directory,
          GITHUB_SERVER_URL: server.url,
          GITHUB_TOKEN: PASSWORD,
        },
        ...{ ANTHROPIC_BASE_URL: model.directUrl, ANTHROPIC_API_KEY: KEY },
      },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  )
  gateway.stderr?.on('data', (text) => {
    printed += text
  })
  const [line] = await once(gateway.stdout ?? gateway, 'data')
  printed += line
  expect(JSON.parse(String(line))).toMatchObject({ msg: 'ready', route: 'custom' })
})

afterAll(async () => {
  for (const close of closers) close()
  const ended = once(gateway, 'close')
  gateway.kill('SIGTERM')
  expect(await ended).toEqual([0, null])
  expect([at('secret'), at('s'), at('c.sock')].filter((path) => existsSync(path))).toEqual([])
  expect(`${printed}${readFileSync(at('audit'), 'utf8')}`).not.toMatch(/canary/)
  await server.close()
  await model.close()
  rmSync(directory, { recursive: true })
})

async function control(
  method: 'GET' | 'POST' | 'DELETE',
  path: string,
  body?: object,
  asked: { secret?: string; place?: string } = {},
) {
  const [socketPath, secretFile] =
    asked.place === undefined
      ? [at('c.sock'), at('secret')]
      : [join(asked.place, 'c'), join(asked.place, 'secret')]
  const dispatcher = new Agent({ connect: { socketPath } })
  const answer = await request(`http://control${path}`, {
    method,
    dispatcher,
    headers: {
      authorization: `Bearer ${asked.secret ?? readFileSync(secretFile, 'utf8')}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    body: body === undefined ? null : JSON.stringify(body),
  })
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever answer it expects
  const said = (await answer.body.json()) as Record<string, any>
  await dispatcher.close()
  return { status: answer.statusCode, said }
}

/** A session, and its socket as an address: what the relay inside a container is. */
async function open(wish: object = {}) {
  const { status, said } = await control('POST', '/sessions', wish)
  expect(status).toBe(201)
  const relay = createServer((inside) => {
    const outside = dial(said['socket'])
    inside.on('error', () => outside.destroy()).pipe(outside)
    outside.on('error', () => inside.destroy()).pipe(inside)
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  closers.push(() => relay.close())
  return {
    id: said['id'],
    token: said['token'],
    socket: said['socket'],
    url: `http://127.0.0.1:${(relay.address() as AddressInfo).port}`,
  }
}

describe('control', () => {
  test('is for who has the secret, which is this user’s alone', async () => {
    expect(statSync(at('secret')).mode & 0o777).toBe(0o600)
    expect(statSync(at('c.sock')).mode & 0o777).toBe(0o600)
    expect(statSync(at('s')).mode & 0o777).toBe(0o700)
    expect(Buffer.from(readFileSync(at('secret'), 'utf8'), 'base64url')).toHaveLength(32)
    expect(await control('GET', '/health')).toMatchObject({ status: 200 })
    for (const secret of ['', 'x', readFileSync(at('secret'), 'utf8').slice(1)])
      expect(await control('GET', '/sessions', undefined, { secret })).toMatchObject({ status: 401 })
  })

  test('ends a session once and for all, and says so as often as it is asked', async () => {
    const { id, socket, url, token } = await open()
    expect(await control('POST', `/sessions/${id}/heartbeat`)).toMatchObject({ said: { state: 'open' } })
    expect((await control('GET', '/sessions')).said['sessions']).toContainEqual(
      expect.objectContaining({ id }),
    )
    for (const _ of [1, 2])
      expect(await control('DELETE', `/sessions/${id}`)).toMatchObject({
        status: 200,
        said: { id, state: 'ended' },
      })
    expect(existsSync(socket)).toBe(false)
    await expect(fetch(`${url}/v1/models`, { headers: { 'x-api-key': token } })).rejects.toThrow()
    expect(await control('POST', '/sessions', { id })).toMatchObject({ status: 400 })
    expect(await control('DELETE', '/sessions/never')).toMatchObject({ status: 404 })
  })

  test('is one in a folder: a second gateway there leaves the first as it is', async () => {
    const { socket } = await open()
    const args = [MAIN, 'gateway', '--control', at('d.sock'), '--secret-file', at('other')]
    const env = { HOME: directory, ANTHROPIC_BASE_URL: model.directUrl, ANTHROPIC_API_KEY: KEY }
    const second = promisify(execFile)(process.execPath, args, {
      env: { PATH: process.env['PATH'], ...env },
    })
    await expect(second).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('A gateway runs there'),
    })
    expect([existsSync(socket), existsSync(at('other')), existsSync(at('d.sock'))]).toEqual([
      true,
      false,
      false,
    ])
  })

  test('of a gateway that was killed is taken over, with all that it left; what is no gateway’s stays', async () => {
    const place = mkdtempSync(join(tmpdir(), 'agui-gk-'))
    const [socket, secret] = [join(place, 'c'), join(place, 'secret')]
    const start = (): ReturnType<typeof spawn> => {
      const args = [MAIN, 'gateway', '--control', socket, '--secret-file', secret]
      const env = { PATH: process.env['PATH'], HOME: place }
      return spawn(process.execPath, args, {
        env: { ...env, ANTHROPIC_BASE_URL: model.directUrl, ANTHROPIC_API_KEY: KEY },
        stdio: ['ignore', 'pipe', 'ignore'],
      })
    }
    const ended = async (child: ReturnType<typeof spawn>, signal: NodeJS.Signals): Promise<unknown[]> => {
      const end = once(child, 'exit')
      child.kill(signal)
      return await end
    }
    const killed = start()
    await once(killed.stdout ?? killed, 'data')
    expect(await control('POST', '/sessions', { id: 'old' }, { place })).toMatchObject({ status: 201 })
    const first = readFileSync(secret, 'utf8')
    await ended(killed, 'SIGKILL')
    const next = start()
    await once(next.stdout ?? next, 'data')
    expect(await control('GET', '/sessions', undefined, { place })).toEqual({
      status: 200,
      said: { sessions: [] },
    })
    expect(await control('GET', '/sessions', undefined, { place, secret: first })).toMatchObject({
      status: 401,
    })
    expect([await ended(next, 'SIGTERM'), readdirSync(place)]).toEqual([[0, null], []])
    mkdirSync(join(place, 's/mine'), { recursive: true })
    const refused = start()
    expect([await once(refused, 'exit'), readdirSync(place)]).toEqual([[2, null], ['s']])
    rmSync(place, { recursive: true })
  })

  test('ends a session whose time is over', async () => {
    const { id, socket } = await open({ ttlSeconds: 1 })
    const folder = join(socket, '..')
    const watcher = watch(at('s'))
    while (existsSync(folder)) await once(watcher, 'change')
    watcher.close()
    expect(await control('GET', `/sessions/${id}`)).toMatchObject({ said: { state: 'ended' } })
  })

  test.each([
    { id: '../x' },
    { branchPrefix: '' },
    { branchPrefix: 'main' },
    { repositories: [{ name: '../../etc', access: 'write' }] },
    { repositories: [{ name: 'a/b', access: 'admin' }] },
    {
      repositories: ['read', 'write'].map((access) => ({ name: access === 'read' ? 'a/b' : 'A/B', access })),
    },
    { repositories: [{ name: 'a/b.git', access: 'read' }] },
    { limits: { costUsd: -1 } },
    { unknown: 1 },
  ])('refuses %j', async (wish) => {
    expect(await control('POST', '/sessions', wish)).toMatchObject({
      status: 400,
      said: { error: { code: 'invalid_input' } },
    })
  })
})

describe('the model', () => {
  const ask = (url: string, apiKey: string, name = 'claude-opus-5-5') =>
    new Anthropic({ baseURL: url, apiKey, maxRetries: 0 }).messages
      .stream({ model: name, max_tokens: 10, messages: [{ role: 'user', content: 'Hello' }] })
      .finalMessage()

  test('answers within the budget, which its own counts are taken from', async () => {
    const prices = { 'claude-opus-5-5': { input: 5, output: 25, cacheRead: 1, cacheWrite: 6 } }
    const { id, url, token } = await open({ limits: { outputTokens: 1, costUsd: 9 }, prices })
    const { usage } = await ask(url, token)
    await expect(ask(url, token)).rejects.toThrow(
      `has used its 1 output tokens (${usage.output_tokens} so far)`,
    )
    const { said } = await control('GET', `/sessions/${id}`)
    expect(said['used']).toMatchObject({ requests: 1, outputTokens: usage.output_tokens })
    expect(said['used'].costUsd).toBeGreaterThanOrEqual((usage.output_tokens * 25) / 1e6)
  })

  test('is one of the session’s, named once', async () => {
    const { url, token } = await open({ models: ['claude-haiku'], limits: { requests: 5 } })
    await expect(ask(url, token)).rejects.toThrow('may not ask the model claude-opus-5-5')
    const twice = '{"model":"claude-haiku","model":"claude-opus-5-5"}'
    const answer = await fetch(`${url}/v1/messages`, {
      method: 'POST',
      body: twice,
      headers: { 'x-api-key': token },
    })
    expect(answer.status).toBe(400)
  })

  test('a token of another session is no proof here', async () => {
    const [one, other] = [await open(), await open()]
    await expect(ask(one.url, other.token)).rejects.toThrow('no session of this broker')
  })
})

describe('git', () => {
  const WRITE = { repositories: [{ name: 'acme/app', access: 'write' }], branchPrefix: 'agui/' }
  let url: string
  let work: string
  /** As a person types it; resolves with what git says. */
  const run = async (...args: string[]): Promise<string> => {
    const env = {
      PATH: process.env['PATH'] ?? '',
      HOME: '/nonexistent',
      GIT_TERMINAL_PROMPT: '0',
      LC_ALL: 'C',
    }
    const identity = ['-c', 'user.name=a', '-c', 'user.email=a@example.com']
    const done = await promisify(execFile)('git', [...identity, ...args], { cwd: work, env }).catch(
      (error) => error,
    )
    return `${done.stdout}${done.stderr}`
  }
  const heads = (): string => server.git('acme/app', 'for-each-ref', '--format=%(refname) %(objectname)')

  beforeAll(async () => {
    url = (await open(WRITE)).url
    work = directory
    expect(await run('clone', '--quiet', `${url}/git/acme/app.git`, 'work')).toBe('')
    work = at('work')
    writeFileSync(join(work, 'new.txt'), 'new')
    git(work, 'switch', '--quiet', '--create', 'agui/one')
    git(work, 'add', '--all')
    git(work, 'commit', '--quiet', '--message', 'new')
    git(work, 'tag', 'v1')
  })

  test('pushes a branch of its own, also by force, and a large one', async () => {
    expect(await run('push', 'origin', 'agui/one')).toContain('[new branch]')
    await run('commit', '--amend', '--allow-empty', '--message', 'other')
    expect(await run('push', '--force', 'origin', 'agui/one')).toContain('forced update')
    writeFileSync(join(work, 'large'), Buffer.from(Array.from({ length: 3e6 }, () => Math.random() * 256)))
    await run('add', 'large')
    await run('commit', '--quiet', '--message', 'large')
    expect(await run('push', 'origin', 'agui/one:agui/large')).toContain('[new branch]')
    expect(
      server.authorizations.every((given) => given === undefined || given === `x-access-token:${PASSWORD}`),
    ).toBe(true)
  })

  test.each([
    ['main', ['HEAD:main']],
    ['main, by force', ['--force', 'HEAD:main']],
    ['a tag', ['v1']],
    ['a tag under a branch’s name', ['v1:refs/tags/agui/v1']],
    ['two, of which one is allowed', ['HEAD:agui/two', 'HEAD:main']],
    ['two at once or none', ['--atomic', 'HEAD:agui/two', 'HEAD:main']],
    ['a deletion', ['--delete', 'agui/one']],
    ['the prefix in another case', ['HEAD:refs/heads/AGUI/x']],
    ['a name that only begins so', ['HEAD:refs/heads/aguix']],
    ['what is no branch', ['HEAD:refs/agui/x']],
    ['everything', ['--mirror']],
    ['an order to the server', ['--push-option', 'repo.private=false', 'HEAD:agui/two']],
  ])('does not push %s, and git says why', async (_, refs) => {
    const before = heads()
    expect(await run('push', 'origin', ...refs)).toMatch(
      /\[remote rejected\].*\((?:only branches that begin with agui\/|branches may not|push options are not)/,
    )
    expect(heads()).toBe(before)
  })

  test('sees no other repository, and writes none that it may only read', async () => {
    expect(await run('ls-remote', `${url}/git/acme/secret.git`)).toContain('403')
    const { url: reading } = await open({ repositories: [{ name: 'acme/app', access: 'read' }] })
    expect(await run('ls-remote', `${reading}/git/acme/app`)).toContain('refs/heads/main')
    expect(await run('push', `${reading}/git/acme/app`, 'HEAD:agui/three')).toContain('403')
  })

  const zero = '0'.repeat(40)
  const pkt = (text: string): string => (text.length + 4).toString(16).padStart(4, '0') + text
  const command = (ref: string): string => pkt(`${zero} ${'1'.repeat(40)} ${ref}\0report-status`)

  test.each([
    ['no pkt-line', 'hello'],
    ['a length below four', '0003'],
    ['another version’s delimiter', '0001'],
    ['no end of the commands', command('refs/heads/agui/x')],
    ['commands behind a lone flush', `0000${command('refs/heads/main')}0000`],
    ['a certificate', `${pkt('push-cert\0report-status')}0000`],
    ['huge commands', command('refs/heads/agui/x').repeat(700)],
    ['capabilities twice', `${command('refs/heads/agui/x')}${command('refs/heads/main')}0000`],
  ])('a push that is %s goes nowhere', async (_, body) => {
    const before = server.authorizations.length
    const headers = { 'content-type': 'application/x-git-receive-pack-request' }
    const answer = await fetch(`${url}/git/acme/app.git/git-receive-pack`, { method: 'POST', body, headers })
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(server.authorizations).toHaveLength(before)
  })

  test.each([
    ['refs/heads/agui/../main'],
    ['refs/heads/agui/x.lock'],
    ['refs/heads/agui/'],
    ['refs/heads/agui//x'],
    ['refs/heads/agui/\x01'],
    ['refs/heads/agui/x\n'],
    ['refs/heads/agui/@{x'],
    ['-refs/heads/agui/x'],
  ])('the ref %j is none of its own', async (ref) => {
    const before = server.authorizations.length
    const answer = await fetch(`${url}/git/acme/app/git-receive-pack`, {
      method: 'POST',
      body: `${command(ref)}0000`,
    })
    expect(await answer.text()).toMatch(/ng refs|^ng|not readable|no update of a branch|only branches/m)
    expect(server.authorizations).toHaveLength(before)
  })

  test.each(['push-options', 'push-options=1', '\tpush-options', 'push-options\ratomic'])(
    'push options that are asked for as %j are not passed on',
    async (words) => {
      const before = server.authorizations.length
      const line = `${zero} ${'1'.repeat(40)} refs/heads/agui/x\0report-status ${words}`
      const answer = await fetch(`${url}/git/acme/app/git-receive-pack`, {
        method: 'POST',
        body: `${pkt(line)}00000000`,
      })
      expect(await answer.text()).toContain('ng refs/heads/agui/x push options are not passed on')
      expect(server.authorizations).toHaveLength(before)
    },
  )

  test.each([
    '/git/acme/app.git/HEAD',
    '/git/acme/app.git/objects/info/packs',
    '/git/acme/app.git/info/refs',
    '/git/acme/app.git/info/refs?service=git-upload-archive',
    '/git/acme/app.git/info/refs?service=git-upload-pack&x=1',
    '/git/acme/app.git/../secret.git/info/refs?service=git-upload-pack',
    '/git/acme/%61pp/info/refs?service=git-upload-pack',
  ])('%s is not served', async (path) => {
    const answer = await request(`${url}${path}`)
    expect(answer.statusCode).toBe(403)
    await answer.body.dump()
  })
})

test('the audit has a line for each, with what was asked and why not', async () => {
  const lines = readFileSync(at('audit'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  expect(statSync(at('audit')).mode & 0o777).toBe(0o600)
  expect(lines).toContainEqual(
    expect.objectContaining({
      door: 'git',
      repository: 'acme/app',
      refs: ['refs/heads/main'],
      verdict: 'deny',
      status: 200,
    }),
  )
  expect(lines).toContainEqual(
    expect.objectContaining({
      door: 'model',
      model: 'claude-opus-5-5',
      verdict: 'allow',
      outputTokens: expect.any(Number),
    }),
  )
  // The head and the body, also where both came in one piece.
  expect(lines.filter(({ bytesIn }) => bytesIn === 0)).toEqual([])
})
