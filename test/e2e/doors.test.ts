// Who must not get in, at every door there is, against the real server: nothing of what they ask for happens.
import { readdirSync } from 'node:fs'
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { runInput, userMessage } from '../support/client.ts'
import { type Operation, operationsOf } from '../support/operations.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

const TOKEN = 'token-of-the-first-session'
const OTHERS_TOKEN = 'token-of-a-second-session'

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

let bench: Bench
let runner: OpenRunner
let other: OpenRunner
let operations: Operation[]

beforeAll(async () => {
  bench = await openBench()
  runner = await bench.open({ AGUI_TOKEN: TOKEN, AUTH_FAILURES_PER_MINUTE_MAX: '0' })
  other = await bench.open({ AGUI_TOKEN: OTHERS_TOKEN, RUNNER_STATE_DIR: `${bench.directory}/other` })
  operations = await operationsOf(runner.url, TOKEN)
})
afterAll(() => bench.close())

/** Headers as they are, which `fetch` would not let pass. */
function ask(
  { method, path }: Pick<Operation, 'method' | 'path'>,
  headers: OutgoingHttpHeaders,
  url = runner.url,
): Promise<Answer> {
  const body = method === 'GET' || method === 'HEAD' ? undefined : JSON.stringify(bodyOf(path))
  // Node frames no body of a DELETE by itself.
  const type =
    body === undefined
      ? {}
      : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }
  return new Promise((resolve, reject) => {
    const asked = request(`${url}${path}`, { method, headers: { ...type, ...headers }, agent: false })
    asked.once('error', reject).once('response', (response) => {
      text(response).then((said) => {
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: said })
      }, reject)
    })
    asked.end(body)
  })
}

/** What would do something, were it let in. */
function bodyOf(path: string): unknown {
  return ['/', '/agui', '/agui/run'].includes(path)
    ? runInput('intruder', 'hello')
    : { content: 'hello', path: 'intruder.txt', messages: [userMessage('hello')], model: 'x', name: 'x' }
}

const codeOf = ({ body }: Answer): string => JSON.parse(body).error.code

const STRANGERS: [who: string, headers: OutgoingHttpHeaders, status: number, code: string][] = [
  ['nobody', {}, 401, 'unauthorized'],
  ['an empty token', { authorization: 'Bearer ' }, 401, 'unauthorized'],
  ["a second session's token", { authorization: `Bearer ${OTHERS_TOKEN}` }, 401, 'unauthorized'],
  [
    "a second session's token in the platform's header",
    { 'x-ambient-session-token': OTHERS_TOKEN },
    401,
    'unauthorized',
  ],
  ['the beginning of the token', { authorization: `Bearer ${TOKEN.slice(0, -1)}` }, 401, 'unauthorized'],
  ['the token with more behind it', { authorization: `Bearer ${TOKEN}x` }, 401, 'unauthorized'],
  ['the token by another scheme', { authorization: `Basic ${TOKEN}` }, 401, 'unauthorized'],
  ['the token as a cookie', { cookie: `token=${TOKEN}` }, 401, 'unauthorized'],
]

const ELSEWHERE: [who: string, headers: OutgoingHttpHeaders, status: number, code: string][] = [
  ['a name that was rebound to this address', { host: 'rebound.example' }, 403, 'host_not_allowed'],
  ['a name that only begins like ours', { host: 'localhost.evil.example:8001' }, 403, 'host_not_allowed'],
  ['another loopback name in front of theirs', { host: '127.0.0.1.evil.example' }, 403, 'host_not_allowed'],
  ["another origin's page", { origin: 'https://evil.example' }, 403, 'origin_not_allowed'],
  ['a page without an origin', { origin: 'null' }, 403, 'origin_not_allowed'],
  ['a page of another port of this machine', { origin: 'http://127.0.0.1:1' }, 403, 'origin_not_allowed'],
  ['a page that came over TLS', { origin: 'https://127.0.0.1' }, 403, 'origin_not_allowed'],
]

test('the document names every door', () => {
  expect(operations.length).toBeGreaterThan(50)
  expect(operations.filter(({ isOpen }) => isOpen).map(({ path }) => path)).toEqual([
    '/health',
    '/healthz',
    '/',
    '/console/x/x',
  ])
})

test.each(STRANGERS)(
  '%s is refused at every route that needs the token',
  async (_who, headers, status, code) => {
    const refused: Answer[] = []
    for (const operation of operations.filter(({ isOpen }) => !isOpen)) {
      const answer = await ask(operation, headers)
      expect([operation, answer.status, codeOf(answer)]).toEqual([operation, status, code])
      refused.push(answer)
    }
    expect(refused.some(({ body }) => body.includes(TOKEN))).toBe(false)
  },
)

test.each(ELSEWHERE)(
  '%s is refused at every route, with the token too',
  async (_who, headers, status, code) => {
    const withToken = { authorization: `Bearer ${TOKEN}`, ...headers }
    for (const operation of operations.filter(({ path }) => !path.startsWith('/health'))) {
      const answer = await ask(operation, withToken)
      expect([operation, answer.status, codeOf(answer)]).toEqual([operation, status, code])
      expect(answer.headers['access-control-allow-origin']).toBeUndefined()
    }
  },
)

test('a preflight gets no leave', async () => {
  const answer = await ask(
    { method: 'OPTIONS', path: '/' },
    { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
  )
  expect(answer.status).toBeGreaterThanOrEqual(400)
  expect(Object.keys(answer.headers).filter((name) => name.startsWith('access-control'))).toEqual([])
})

describe('a WebSocket', () => {
  const attempt = (options: {
    protocols?: string[]
    headers?: Record<string, string>
  }): Promise<number | 'open'> =>
    new Promise((resolve) => {
      const { protocols = [], headers = {} } = options
      const socket = new WebSocket(`${runner.url.replace('http', 'ws')}/ws`, protocols, { headers })
      socket.once('open', () => {
        socket.close()
        resolve('open')
      })
      socket.once('unexpected-response', (asked, { statusCode = 0 }) => {
        asked.destroy()
        resolve(statusCode)
      })
      socket.on('error', () => undefined)
    })

  test.each([
    ['without a token', {}, 401],
    ["with a second session's token", { protocols: [`bearer.${OTHERS_TOKEN}`] }, 401],
    ['with the token in its address', { headers: { referer: `http://127.0.0.1/?token=${TOKEN}` } }, 401],
    [
      "of another origin's page",
      { protocols: [`bearer.${TOKEN}`], headers: { origin: 'http://evil.example' } },
      403,
    ],
    ['to a rebound name', { protocols: [`bearer.${TOKEN}`], headers: { host: 'rebound.example' } }, 403],
  ])('%s is refused', async (_what, options, status) => {
    expect(await attempt(options)).toBe(status)
  })

  test('with the token is taken', async () => {
    expect(await attempt({ protocols: [`bearer.${TOKEN}`] })).toBe('open')
  })
})

test('each session lets its own token in, and nothing of what the others asked for has happened', async () => {
  for (const [url, token] of [
    [runner.url, TOKEN],
    [other.url, OTHERS_TOKEN],
  ] as const) {
    const answer = await ask({ method: 'GET', path: '/sessions' }, { authorization: `Bearer ${token}` }, url)
    expect([answer.status, JSON.parse(answer.body).sessions]).toEqual([200, []])
  }
  expect(readdirSync(bench.workspace)).toEqual([])
  expect(bench.gateway.requests.filter(({ facts }) => facts !== undefined)).toEqual([])
})
