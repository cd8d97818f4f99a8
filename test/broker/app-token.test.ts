// A session's token of a GitHub App: had at its start, renewed in time, revoked at its end. The time is the test's.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, request } from 'undici'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { Session } from '../../src/broker/session.ts'
import { digestOf } from '../../src/broker/token.ts'
import { UpstreamDoors } from '../../src/broker/upstream-doors.ts'
import { toMessage } from '../../src/errors.ts'
import type { Clock } from '../../src/github-app/held-token.ts'
import { detectRoute } from '../../src/model-route/route.ts'
import { APP_ID, APP_KEY, type AppServer, HOUR_MS, startAppServer } from '../support/app-server.ts'
import { deferred } from '../support/deferred.ts'

const MAIN = new URL('../../dist/main.js', import.meta.url).pathname
const MINUTE_MS = 60_000

/** It goes on when it is told to, and calls then what is due. */
class TestClock implements Clock {
  #now = Date.now()
  #calls: { at: number; work: () => void }[] = []

  now = (): number => this.#now

  after(ms: number, work: () => void): () => void {
    const call = { at: this.#now + ms, work }
    this.#calls.push(call)
    return () => {
      this.#calls = this.#calls.filter((one) => one !== call)
    }
  }

  /** @param isAwake whether timers ran meanwhile; a machine that slept wakes up later than its timers. */
  pass(ms: number, isAwake = true): void {
    this.#now += ms
    if (!isAwake) return
    const due = this.#calls.filter(({ at }) => at <= this.#now)
    this.#calls = this.#calls.filter(({ at }) => at > this.#now)
    for (const { work } of due) work()
  }
}

let folder: string
let clock: TestClock
let github: AppServer
let doors: UpstreamDoors
let said: string[]
let onSaid: (message: string) => void
const closers: (() => Promise<unknown>)[] = []

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'agui-app-'))
  clock = new TestClock()
  github = await startAppServer(clock.now)
  said = []
  onSaid = () => undefined
  const env = {
    ...{ ANTHROPIC_BASE_URL: github.url, ANTHROPIC_API_KEY: 'sk-ant-canary', GITHUB_TOKEN: 'not-the-one' },
    ...{ GITHUB_SERVER_URL: github.url, GITHUB_API_URL: github.url },
  }
  const { signal } = new AbortController()
  const route = await detectRoute({ env, wrappersDirectory: 'wrappers', signal })
  const app = { appId: APP_ID, privateKey: APP_KEY }
  const onTokenProblem = (message: string): void => {
    said.push(message)
    onSaid(message)
  }
  doors = new UpstreamDoors({ route, env, policy: undefined, app, onTokenProblem, clock })
})
afterEach(async () => {
  for (const close of closers.splice(0)) await close()
  await doors.close()
  await github.close()
  rmSync(folder, { recursive: true })
})

interface Opened {
  /** What the session's door answers to a reading of that repository: the status, and the words of a refusal. */
  read(name?: string): Promise<{ status: number; text: string }>
  git(name?: string): Promise<{ status: number; text: string }>
  close(): Promise<void>
}

async function open(repositories: [name: string, access: 'read' | 'write'][]): Promise<Opened> {
  const rights = {
    repositories: repositories.map(([name, access]) => ({ name: `acme/${name}`, access })),
    ...{ branchPrefix: 'agui/', limits: {}, prices: {} },
  }
  const session = new Session({ id: 'one', digest: digestOf('the-token'), needsToken: true, rights })
  const { url, close } = await doors.open({
    ...{ session, mode: 'public', folder, listen: 'loopback', audit: undefined },
  })
  closers.push(close)
  const ask = async (path: string) => {
    const answer = await request(`${url}${path}`, { headers: { authorization: 'Bearer the-token' } })
    return { status: answer.statusCode, text: await answer.body.text() }
  }
  return {
    close,
    read: (name = 'app') => ask(`/github/repos/acme/${name}`),
    git: (name = 'app') => ask(`/git/acme/${name}.git/info/refs?service=git-upload-pack`),
  }
}

/** What the broker says next. */
function nextSaid(): Promise<string> {
  return new Promise((resolve) => {
    onSaid = resolve
  })
}

const ready = async () => (await doors.ready())['githubApp']

test('a session has a token for its repositories and rights alone, and none is left when it ends', async () => {
  const [writing, reading, none] = await Promise.all([
    open([
      ['app', 'write'],
      ['docs', 'read'],
    ]),
    open([['docs', 'read']]),
    open([]),
  ])
  const rights = (level: string) => ({ contents: level, pull_requests: level })
  const scopes = github.minted.map(({ repositories, permissions }) => ({ repositories, permissions }))
  expect(scopes).toHaveLength(2)
  expect(scopes).toContainEqual({ repositories: ['app', 'docs'], permissions: rights('write') })
  expect(scopes).toContainEqual({ repositories: ['docs'], permissions: rights('read') })
  expect(await writing.read()).toMatchObject({ status: 200 })
  expect(await writing.git('docs')).toMatchObject({ status: 200 })
  expect(await reading.read('docs')).toMatchObject({ status: 200 })
  expect(await ready()).toEqual({ ok: true })
  await Promise.all([writing.close(), none.close()])
  expect(
    github.minted.map(({ isRevoked, permissions }) => [permissions['contents'], isRevoked]).sort(),
  ).toEqual([
    ['read', false],
    ['write', true],
  ])
  await doors.close()
  expect(github.minted.every(({ isRevoked }) => isRevoked)).toBe(true)
})

test('sessions of the same rights that begin and renew at the same time have a token each', async () => {
  const [first, ...others] = await Promise.all([1, 2, 3].map(() => open([['app', 'write']])))
  expect(new Set(github.minted.map(({ token }) => token)).size).toBe(3)
  const renewed = github.nextMints(3)
  clock.pass(46 * MINUTE_MS)
  await renewed
  await first?.close()
  for (const other of others) expect(await other.read()).toMatchObject({ status: 200 })
  expect(github.minted.filter(({ isRevoked }) => isRevoked)).toHaveLength(2)
})

test('it is renewed a quarter of an hour before its end, once; what is asked meanwhile has the old one', async () => {
  const session = await open([['app', 'write']])
  clock.pass(HOUR_MS - 16 * MINUTE_MS)
  await session.read()
  expect(github.minted).toHaveLength(1)
  const gate = deferred()
  github.gate = gate.promise
  clock.pass(MINUTE_MS)
  // Nobody gets a new one, and nobody waits for it.
  for (const answer of await Promise.all([session.read(), session.git(), session.read()]))
    expect(answer.status).toBe(200)
  clock.pass(15 * MINUTE_MS)
  // Now there is none but the new one.
  const waiting = session.read()
  gate.resolve()
  expect(await waiting).toMatchObject({ status: 200 })
  expect(await session.read()).toMatchObject({ status: 200 })
  expect(github.asked.filter((line) => line.startsWith('POST '))).toHaveLength(2)
})

test.each(['2100-01-01T00:00:00Z', '1999-01-01T00:00:00Z'])(
  'an end of %s is not believed: the next token is had within the hour, and not at once',
  async (expiresAt) => {
    github.answer = { expires_at: expiresAt }
    const session = await open([['app', 'write']])
    expect(await session.read()).toMatchObject({ status: 200 })
    expect(github.minted).toHaveLength(1)
    const renewed = github.nextMints()
    clock.pass(HOUR_MS)
    await renewed
    expect(await session.read()).toMatchObject({ status: 200 })
    expect(github.minted).toHaveLength(2)
  },
)

test.each([
  ['an end that is no time', { expires_at: 'soon' }, /: expires_at: it is no time\.$/],
  ['no end', { expires_at: undefined }, /: expires_at: /],
  ['no token', { token: undefined }, /: token: /],
  ['an empty token', { token: '' }, /: token: it is no token\.$/],
  ['two lines as a token', { token: 'ghs_a\n::b::' }, /: token: it is no token\.$/],
  ['a number as a token', { token: 5 }, /: token: /],
])('%s is an answer that cannot be used', async (_name, answer, words) => {
  github.answer = answer
  const problem = await open([['app', 'write']]).catch(toMessage)
  expect(problem).toMatch(/^GitHub did not answer as it should: /)
  expect(problem).toMatch(words)
  // One sentence of one line, and nothing of the answer.
  expect(problem).not.toMatch(/\n|ghs_/)
})

test('a machine that slept waits for one new token, for all that ask', async () => {
  const session = await open([['app', 'write']])
  clock.pass(2 * HOUR_MS, false)
  const answers = await Promise.all([session.read(), session.git(), session.read()])
  expect(answers.map(({ status }) => status)).toEqual([200, 200, 200])
  expect(github.minted).toHaveLength(2)
})

test.each([
  [401, 'A JSON web token could not be decoded', /refuses the App’s signature/],
  [
    403,
    'This installation has been suspended',
    /no access to acme\/app \(GitHub: This installation has been/,
  ],
  [404, 'Not Found', /is not installed on acme\/app/],
  [
    422,
    'The permissions requested are not granted to this installation.',
    /\(GitHub: The permissions requested/,
  ],
])(
  'GitHub refuses with %i: it is said, the old one is used to its end, and then the door says why',
  async (status, message, words) => {
    const session = await open([['app', 'write']])
    github.refusal = { status, message }
    const refused = nextSaid()
    clock.pass(46 * MINUTE_MS)
    await refused
    expect(await session.read()).toMatchObject({ status: 200 })
    expect(await ready()).toEqual({ ok: false, message: expect.stringMatching(words) })
    expect(said).toEqual([expect.stringMatching(words)])
    clock.pass(15 * MINUTE_MS)
    expect(await session.read()).toEqual({ status: 502, text: expect.stringMatching(words) })
    expect(await session.git()).toEqual({ status: 502, text: expect.stringMatching(words) })
    const asked = github.asked.length
    await Promise.all([session.read(), session.git()])
    // Who asks again and again does not make the broker do so.
    expect(github.asked).toHaveLength(asked)
    expect(said).toHaveLength(1)
    github.refusal = undefined
    clock.pass(MINUTE_MS)
    expect(await session.read()).toMatchObject({ status: 200 })
    expect(await ready()).toEqual({ ok: true })
  },
)

test('a token that GitHub takes no longer is replaced, if it is not brand-new', async () => {
  const session = await open([['app', 'write']])
  for (const one of github.minted) one.isRevoked = true
  expect(await session.read()).toEqual({
    status: 403,
    text: expect.stringContaining('the GitHub App’s token'),
  })
  expect(await session.git()).toMatchObject({ status: 403 })
  expect(github.minted).toHaveLength(1)
  clock.pass(MINUTE_MS)
  expect(await session.read()).toMatchObject({ status: 403 })
  expect(await session.read()).toMatchObject({ status: 200 })
  expect(github.minted).toHaveLength(2)
})

test('a session that ends in the middle of a renewal revokes the old token and the new one', async () => {
  const session = await open([['app', 'write']])
  const gate = deferred()
  github.gate = gate.promise
  clock.pass(50 * MINUTE_MS)
  const closed = session.close()
  gate.resolve()
  await closed
  expect(github.minted.map(({ isRevoked }) => isRevoked)).toEqual([true, true])
})

test('a session that cannot have a token is not opened; who cannot be reached is said, also when it revokes', async () => {
  const session = await open([['app', 'write']])
  await expect(
    open([
      ['app', 'write'],
      ['../other', 'read'],
    ]),
  ).rejects.toThrow(/is no repository/)
  github.refusal = { status: 401, message: 'Bad JWT' }
  await expect(open([['app', 'write']])).rejects.toThrow(/refuses the App’s signature/)
  expect(said).toEqual([])
  await github.close()
  const unreached = nextSaid()
  clock.pass(46 * MINUTE_MS)
  expect(await unreached).toMatch(/^session one: GitHub did not answer as it should: /)
  expect(await ready()).toEqual({ ok: false, message: expect.stringContaining('GitHub did not answer') })
  await session.close()
  expect(said[1]).toMatch(/^session one: a token was not revoked and ends at \S+Z: /)
})

test('the gateway: a refused key is in /ready and in the answer to the launcher; SIGTERM revokes', async () => {
  const at = (name: string): string => join(folder, name)
  // Its clock is the machine's.
  const live = await startAppServer()
  closers.push(() => live.close())
  const start = async (): Promise<ChildProcess> => {
    const child = spawn(
      process.execPath,
      [MAIN, 'gateway', '--control', at('c'), '--secret-file', at('secret'), '--key-file', '-'],
      {
        env: {
          ...{
            PATH: process.env['PATH'],
            HOME: folder,
            ANTHROPIC_BASE_URL: live.url,
            ANTHROPIC_API_KEY: 'x'.repeat(20),
          },
          ...{ GITHUB_SERVER_URL: live.url, GITHUB_API_URL: live.url, GITHUB_APP_ID: APP_ID },
        },
        stdio: ['pipe', 'pipe', 'inherit'],
      },
    )
    child.stdin?.end(APP_KEY)
    await once(child.stdout ?? child, 'data')
    return child
  }
  const gateway = await start()
  const dispatcher = new Agent({ connect: { socketPath: at('c') } })
  const control = async (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object) => {
    const authorization = `Bearer ${readFileSync(at('secret'), 'utf8')}`
    const answer = await request(`http://control${path}`, {
      ...{ method, dispatcher, body: body === undefined ? null : JSON.stringify(body) },
      headers: { authorization, ...(body && { 'content-type': 'application/json' }) },
    })
    return { status: answer.statusCode, text: await answer.body.text() }
  }
  const wish = { repositories: [{ name: 'acme/app', access: 'write' }] }
  live.refusal = { status: 401, message: 'Bad JWT' }
  const words = expect.stringContaining('refuses the App’s signature')
  expect(await control('POST', '/sessions', wish)).toEqual({ status: 500, text: words })
  expect(await control('GET', '/ready')).toEqual({ status: 503, text: words })
  live.refusal = undefined
  for (const id of ['first', 'second'])
    expect(await control('POST', '/sessions', { ...wish, id })).toMatchObject({ status: 201 })
  expect(await control('DELETE', '/sessions/first')).toMatchObject({ status: 200 })
  expect(live.minted.map(({ isRevoked }) => isRevoked)).toEqual([true, false])
  // One is only being opened.
  const gate = deferred()
  live.gate = gate.promise
  const minting = live.nextMints()
  const third = control('POST', '/sessions', wish).catch(() => undefined)
  await Promise.race([minting, third])
  const ended = once(gateway, 'close')
  gateway.kill('SIGTERM')
  gate.resolve()
  expect(await ended).toEqual([0, null])
  await third
  expect(live.minted.every(({ isRevoked }) => isRevoked)).toBe(true)
  await dispatcher.destroy()
})
