// Pages of listed origins, tickets in place of headers, and proxies that are believed, on the wire.
import { type IncomingHttpHeaders, type OutgoingHttpHeaders, request } from 'node:http'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { WebSocket } from 'ws'
import { bodyOf, post, run, runInput } from '../support/client.ts'
import { operationsOf } from '../support/operations.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'

const TOKEN = 'token-of-the-cross-origin-test'
const LISTED = 'https://app.example'
const BEARER = { authorization: `Bearer ${TOKEN}` }

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench()
  runner = await bench.open({
    AGUI_TOKEN: TOKEN,
    AGUI_ALLOWED_ORIGINS: 'https://App.example/, http://127.0.0.1:1',
    AUTH_FAILURES_PER_MINUTE_MAX: '0',
  })
})
afterAll(() => bench.close())

interface Answer {
  status: number
  headers: IncomingHttpHeaders
  body: string
}

/** With the headers as they are, which `fetch` would not let pass. */
function ask(method: string, path: string, headers: OutgoingHttpHeaders, url = runner.url): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request(`${url}${path}`, { method, headers, agent: false })
    asked.once('error', reject).once('response', (response) => {
      text(response).then(
        (body) => resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
        reject,
      )
    })
    asked.end()
  })
}

const codeOf = ({ status, body }: Answer): unknown[] => [status, JSON.parse(body).error?.code]
const corsOf = ({ headers }: Answer): string[] =>
  Object.keys(headers).filter((name) => name.startsWith('access-control'))

describe('a page of a listed origin', () => {
  test('gets leave for every route without a token, and may read how it is refused', async () => {
    const all = await operationsOf(runner.url, TOKEN)
    expect(all.length).toBeGreaterThan(50)
    for (const { method, path, isOpen } of all) {
      const asks = {
        origin: LISTED,
        'access-control-request-method': method,
        'access-control-request-headers': 'authorization,x-own',
      }
      const leave = await ask('OPTIONS', path, asks)
      expect([path, leave.status, leave.body]).toEqual([path, 204, ''])
      expect(leave.headers).toMatchObject({
        'access-control-allow-origin': LISTED,
        'access-control-allow-methods': expect.stringContaining(method),
        'access-control-allow-headers': 'authorization,x-own',
        'access-control-max-age': '600',
        vary: expect.stringContaining('Origin'),
      })
      if (isOpen) continue
      const refused = await ask(method, path, { origin: LISTED })
      expect([path, ...codeOf(refused)]).toEqual([path, 401, 'unauthorized'])
      expect(refused.headers).toMatchObject({
        'access-control-allow-origin': LISTED,
        'access-control-expose-headers': 'Retry-After',
        vary: 'Origin',
      })
    }
  })

  test('reads answers, streams and what is not there', async () => {
    const headers = { ...BEARER, origin: LISTED }
    await run(runner.url, runInput('seen', 'hello'), BEARER)
    for (const path of ['/sessions', '/sessions/seen/events?follow=false', '/nowhere', '/health']) {
      expect((await ask('GET', path, headers)).headers['access-control-allow-origin'], path).toBe(LISTED)
    }
  })
})

describe('a page of another origin', () => {
  test.each(['https://evil.example', 'https://app.example.evil.example', 'http://app.example', 'null'])(
    '(%s) gets no leave and no header, with the token too',
    async (origin) => {
      const asks = { origin, 'access-control-request-method': 'POST' }
      for (const path of ['/', '/tickets', '/sessions', '/repos/add']) {
        const leave = await ask('OPTIONS', path, asks)
        expect(leave.status).toBeGreaterThanOrEqual(400)
        expect(corsOf(leave)).toEqual([])
      }
      const refused = await ask('GET', '/sessions', { ...BEARER, origin })
      expect(codeOf(refused)).toEqual([403, 'origin_not_allowed'])
      expect(corsOf(refused)).toEqual([])
      expect(refused.headers.vary).toBe('Origin')
    },
  )
})

describe('a ticket', () => {
  const ticketFor = async (threadId: string, ttlMs?: number): Promise<string> => {
    const response = await post(`${runner.url}/tickets`, { threadId, ttlMs }, BEARER)
    expect(response.status).toBe(200)
    const { ticket, ...rest } = await bodyOf(response)
    expect(rest).toEqual({ threadId, expiresAt: expect.any(Number) })
    return ticket
  }
  const read = (path: string, ticket: string): Promise<Answer> =>
    ask('GET', `${path}${path.includes('?') ? '&' : '?'}ticket=${ticket}`, {})

  beforeAll(async () => {
    await run(runner.url, runInput('mine', 'hello'), BEARER)
    await run(runner.url, runInput('other', 'hello'), BEARER)
  })

  test.each(['/sessions/mine/events?follow=false', '/sessions/mine/connect?follow=false'])(
    'opens %s once',
    async (path) => {
      const ticket = await ticketFor('mine')
      const first = await read(path, ticket)
      expect(first.status).toBe(200)
      expect(first.body).toContain('RUN_FINISHED')
      expect(codeOf(await read(path, ticket))).toEqual([401, 'unauthorized'])
    },
  )

  test('opens no other thread, no other route, and is then used up', async () => {
    const ticket = await ticketFor('mine')
    expect(codeOf(await read('/sessions/other/events?follow=false', ticket))).toEqual([401, 'unauthorized'])
    expect(codeOf(await read('/sessions/mine/events?follow=false', ticket))).toEqual([401, 'unauthorized'])
    for (const path of ['/sessions', '/sessions/mine', '/content/list', '/openapi.json']) {
      const again = await ticketFor('mine')
      expect(codeOf(await read(path, again)), path).toEqual([401, 'unauthorized'])
    }
    expect(codeOf(await read('/agui/events', await ticketFor('mine')))).toEqual([401, 'unauthorized'])
  })

  test('that expired or was made up opens nothing', async () => {
    const late = await post(`${runner.url}/tickets`, { threadId: 'mine', ttlMs: 1 }, BEARER)
    const { ticket, expiresAt } = await bodyOf(late)
    await expect.poll(() => Date.now() > expiresAt).toBe(true)
    for (const wrong of [ticket, 'made-up', '']) {
      expect(codeOf(await read('/sessions/mine/events', wrong))).toEqual([401, 'unauthorized'])
    }
  })

  test.each<[what: string, query: (ticket: string) => string, headers: OutgoingHttpHeaders]>([
    ['a made-up ticket beside the token', () => '&ticket=made-up', BEARER],
    ['an empty one', () => '&ticket=', BEARER],
    ['two tickets', (ticket) => `&ticket=${ticket}&ticket=${ticket}`, BEARER],
    ['a right ticket beside a wrong bearer', (ticket) => `&ticket=${ticket}`, { authorization: 'Bearer x' }],
    ['a wrong token beside the right bearer', () => '', { ...BEARER, 'x-ambient-session-token': 'x' }],
  ])('does not make up for what else is wrong: %s', async (_what, query, headers) => {
    const path = `/sessions/mine/events?follow=false${query(await ticketFor('mine'))}`
    expect(codeOf(await ask('GET', path, headers))).toEqual([401, 'unauthorized'])
  })

  test('beside the token is used up as well; a bearer beside the token may be for a proxy', async () => {
    const path = `/sessions/mine/events?follow=false&ticket=${await ticketFor('mine')}`
    expect((await ask('GET', path, BEARER)).status).toBe(200)
    expect(codeOf(await ask('GET', path, BEARER))).toEqual([401, 'unauthorized'])
    const both = { 'x-ambient-session-token': TOKEN, authorization: 'Bearer of-the-proxy' }
    expect((await ask('GET', '/sessions', both)).status).toBe(200)
  })

  test.each([
    [{}],
    [{ threadId: '' }],
    [{ threadId: 'x'.repeat(257) }],
    [{ threadId: 'x', ttlMs: 300_001 }],
    [{ threadId: 'x', ttlMs: 0 }],
  ])('is not given for %j', async (body) => {
    const response = await post(`${runner.url}/tickets`, body, BEARER)
    expect([response.status, (await bodyOf(response))['error'].code]).toEqual([400, 'invalid_input'])
  })

  test('is checked where no token is needed, too', async () => {
    const open = await bench.open({ RUNNER_STATE_DIR: `${bench.directory}/open` })
    const answer = await ask('GET', '/events/x?ticket=made-up', {}, open.url)
    expect(codeOf(answer)).toEqual([401, 'unauthorized'])
    await open.stop()
  })

  test('opens the WebSocket once, for its thread', async () => {
    const ticket = await ticketFor('mine')
    const address = `${runner.url.replace('http', 'ws')}/ws?ticket=${ticket}`
    const socket = new WebSocket(address)
    const frames: { type: string; threadId: string; error?: { code: string } }[] = []
    const of = (wanted: string) => frames.filter(({ type }) => type === wanted)
    // Commands for two threads are obeyed side by side.
    const arrived = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        frames.push(JSON.parse(String(data)))
        if (of('event').length > 0 && of('error').length === 5) resolve()
      })
    })
    await new Promise((resolve) => socket.once('open', resolve))
    for (const type of ['subscribe', 'interrupt', 'unsubscribe']) {
      socket.send(JSON.stringify({ type, threadId: 'other' }))
    }
    socket.send(JSON.stringify({ type: 'message', threadId: 'other', content: 'x' }))
    socket.send(JSON.stringify({ type: 'run', input: runInput('other', 'intruder') }))
    socket.send(JSON.stringify({ type: 'subscribe', threadId: 'mine' }))
    await arrived
    const refused = of('error').map(({ error }) => error?.code)
    expect(refused).toEqual(Array.from({ length: 5 }, () => 'unauthorized'))
    expect(of('event').every(({ threadId }) => threadId === 'mine')).toBe(true)
    socket.close()
    const again = new WebSocket(address)
    const status = await new Promise((resolve) => {
      again.once('unexpected-response', (asked, { statusCode }) => {
        asked.destroy()
        resolve(statusCode)
      })
      again.on('error', () => undefined)
    })
    expect(status).toBe(401)
  })
})

describe('TRUSTED_PROXIES', () => {
  const HEADERS = { ...BEARER, origin: 'https://agent.example' }
  const FORWARDED: [what: string, headers: OutgoingHttpHeaders][] = [
    ['the older headers', { 'x-forwarded-proto': 'https', 'x-forwarded-host': 'agent.example' }],
    ['Forwarded', { forwarded: 'for="[2001:db8::1]:47";proto=https;host=agent.example' }],
    [
      'the last proxy of several',
      { forwarded: 'host=evil.example;proto=http, host="agent.example:443";proto=https' },
    ],
    [
      'both, saying one thing',
      {
        forwarded: 'host=agent.example;proto=https',
        'x-forwarded-proto': 'https',
        'x-forwarded-host': 'agent.example',
      },
    ],
  ]

  let trusting: OpenRunner
  beforeAll(async () => {
    trusting = await bench.open({
      AGUI_TOKEN: TOKEN,
      TRUSTED_PROXIES: 'loopback',
      AGUI_ALLOWED_HOSTS: 'agent.example',
      RUNNER_STATE_DIR: `${bench.directory}/trusting`,
    })
  })

  test.each(FORWARDED)('make a page behind TLS one of our own, by %s', async (_what, headers) => {
    expect((await ask('GET', '/sessions', { ...HEADERS, ...headers }, trusting.url)).status).toBe(200)
  })

  test.each(FORWARDED)('do not when nobody is trusted, by %s', async (_what, headers) => {
    expect(codeOf(await ask('GET', '/sessions', { ...HEADERS, ...headers }))).toEqual([
      403,
      'origin_not_allowed',
    ])
  })

  test.each([
    [
      'a rebound name',
      { 'x-forwarded-host': 'rebound.example', origin: 'http://rebound.example' },
      403,
      'host_not_allowed',
    ],
    [
      'a name that is ours, for a rebound one',
      { host: 'rebound.example', 'x-forwarded-host': 'agent.example' },
      403,
      'host_not_allowed',
    ],
    [
      'another origin',
      { 'x-forwarded-host': 'agent.example', 'x-forwarded-proto': 'http' },
      403,
      'origin_not_allowed',
    ],
    [
      'a scheme that holds an origin',
      { 'x-forwarded-proto': 'http://evil.example/?', origin: 'http://evil.example' },
      400,
      'invalid_input',
    ],
    [
      'a scheme whose origins are opaque',
      { forwarded: 'host=agent.example;proto=foo', origin: 'null' },
      400,
      'invalid_input',
    ],
    [
      'two names',
      { forwarded: 'host=agent.example', 'x-forwarded-host': 'evil.example' },
      400,
      'invalid_input',
    ],
    ['no form', { forwarded: 'host="agent.example' }, 400, 'invalid_input'],
  ])('believed when they say %s is refused', async (_what, headers, status, code) => {
    expect(codeOf(await ask('GET', '/sessions', { ...HEADERS, ...headers }, trusting.url))).toEqual([
      status,
      code,
    ])
  })

  test('that are no addresses, and origins that are none, are told at the start', async () => {
    const wrong = bench.spawn({ TRUSTED_PROXIES: 'nginx', AGUI_ALLOWED_ORIGINS: 'https://app.example/page' })
    expect(await wrong.exited).toBe(2)
    expect(wrong.stderr()).toContain('TRUSTED_PROXIES: must be addresses')
    expect(wrong.stderr()).toMatch(/AGUI_ALLOWED_ORIGINS.*: must be origins/)
  })
})
