// What passes the door to Anthropic's API, and in which headers; the judge is Anthropic's own client.
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Anthropic, { APIError } from '@anthropic-ai/sdk'
import { afterEach, describe, expect, test } from 'vitest'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import { broker, closeAfterTest, closeAll, KEY, rawAnswer, type Seen, upstream } from './door-run.ts'

afterEach(closeAll)

const ok =
  (body: object = {}) =>
  (_: unknown, response: import('node:http').ServerResponse) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  }

async function mock() {
  const directory = mkdtempSync(join(tmpdir(), 'agui-broker-'))
  const started = await startMockGateway({ directory })
  closeAfterTest(async () => {
    await started.close()
    rmSync(directory, { recursive: true })
  })
  return started
}

test('a client with the session’s token streams from the model', async () => {
  const gateway = await mock()
  const { url, token } = await broker({ ANTHROPIC_BASE_URL: gateway.directUrl, ANTHROPIC_API_KEY: KEY })
  const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 })
  const stream = client.messages.stream({
    model: 'claude-opus-5-5',
    max_tokens: 100,
    messages: [{ role: 'user', content: 'Hello' }],
  })
  const message = await stream.finalMessage()
  expect(message.content[0]).toMatchObject({ type: 'text' })
  expect(message.usage.output_tokens).toBeGreaterThan(0)
  expect(gateway.requests[0]?.headers).toMatchObject({ 'x-api-key': KEY })
  expect((await client.models.list()).data.length).toBeGreaterThan(0)
})

const POSTED = { method: 'POST', body: '{"model":"m"}' }

describe('what goes out', () => {
  async function seenOf(env: Record<string, string>, headers: Record<string, string> = {}): Promise<Seen> {
    const { url: base, seen } = await upstream(ok())
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: `${base}/company/`, ...env })
    const answer = await fetch(`${url}/v1/messages?beta=true`, {
      ...POSTED,
      headers: { 'content-type': 'application/json', 'x-api-key': token, ...headers },
    })
    expect(answer.status).toBe(200)
    const [first] = seen
    if (first === undefined) throw new Error('nothing was asked')
    return first
  }

  test('is what the client said of the request, and the credential', async () => {
    const { method, url, headers, body } = await seenOf(
      { ANTHROPIC_API_KEY: KEY },
      {
        ...{ 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b', 'x-stainless-os': 'Linux' },
        ...{ 'x-app': 'cli', 'user-agent': 'claude-cli/2.1', accept: 'text/event-stream' },
        ...{ authorization: 'Bearer mine', cookie: 'a=b', forwarded: 'for=evil', 'x-forwarded-host': 'evil' },
        ...{ 'x-own': 'y', 'proxy-authorization': 'Basic eA==', 'accept-encoding': 'br' },
      },
    )
    expect({ method, url, body: body.toString() }).toEqual({
      method: 'POST',
      url: '/company/v1/messages?beta=true',
      body: '{"model":"m"}',
    })
    const { host, connection, ...rest } = headers
    expect(rest).toEqual({
      ...{ 'content-type': 'application/json', 'content-length': '13', accept: 'text/event-stream' },
      ...{ 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a,b', 'x-stainless-os': 'Linux' },
      ...{ 'x-app': 'cli', 'user-agent': 'claude-cli/2.1', 'accept-encoding': 'identity', 'x-api-key': KEY },
    })
  })

  test('has the token of a company’s gateway, its headers and its address’s credentials', async () => {
    const env = { ANTHROPIC_AUTH_TOKEN: KEY, ANTHROPIC_CUSTOM_HEADERS: 'X-Team: blue\nX-Key: green' }
    const { headers } = await seenOf(env)
    expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'x-team': 'blue', 'x-key': 'green' })
    expect(headers['x-api-key']).toBeUndefined()
    const { url: base, seen } = await upstream(ok())
    const own = await broker({ ANTHROPIC_BASE_URL: base.replace('//', '//me:secret@') })
    await fetch(`${own.url}/v1/messages`, { ...POSTED, headers: { 'x-api-key': own.token } })
    expect(seen[0]?.headers.authorization).toBe(`Basic ${btoa('me:secret')}`)
  })

  test('asks for OAuth when the credential is one, beside what the client asks for', async () => {
    const { headers } = await seenOf({ CLAUDE_CODE_OAUTH_TOKEN: KEY }, { 'anthropic-beta': 'a' })
    expect(headers).toMatchObject({ authorization: `Bearer ${KEY}`, 'anthropic-beta': 'a,oauth-2025-04-20' })
    expect(headers['x-api-key']).toBeUndefined()
  })
})

describe('what comes back', () => {
  test('is the answer without what is the account’s own', async () => {
    const { url: base } = await upstream((_, response) => {
      response.writeHead(429, {
        ...{ 'content-type': 'application/json', 'request-id': 'req_1', 'retry-after': '3' },
        ...{ 'anthropic-ratelimit-requests-remaining': '0', 'x-should-retry': 'false' },
        ...{ 'set-cookie': 'a=b', 'anthropic-organization-id': 'org', server: 'x' },
      })
      response.end('{"type":"error"}')
    })
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY })
    const answer = await fetch(`${url}/v1/messages`, { ...POSTED, headers: { 'x-api-key': token } })
    const {
      date,
      connection,
      'keep-alive': _,
      'transfer-encoding': __,
      ...headers
    } = Object.fromEntries(answer.headers)
    expect({ status: answer.status, headers, body: await answer.text() }).toEqual({
      status: 429,
      headers: {
        ...{ 'content-type': 'application/json', 'request-id': 'req_1', 'retry-after': '3' },
        ...{ 'anthropic-ratelimit-requests-remaining': '0', 'x-should-retry': 'false' },
      },
      body: '{"type":"error"}',
    })
  })

  test('comes as it is sent: the head first, then each piece', async () => {
    const steps: (() => void)[] = []
    const { url: base } = await upstream((_, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.flushHeaders()
      steps.push(
        () => response.write('one'),
        () => response.end('two'),
      )
    })
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY })
    const answer = await fetch(`${url}/v1/messages`, { ...POSTED, headers: { 'x-api-key': token } })
    const pieces: string[] = []
    steps.shift()?.()
    for await (const piece of answer.body ?? []) {
      pieces.push(Buffer.from(piece).toString())
      steps.shift()?.()
    }
    expect(pieces).toEqual(['one', 'two'])
  })

  test('ends for the model when the client leaves', async () => {
    let left: Promise<unknown> | undefined
    const { url: base } = await upstream((_, response) => {
      left = once(response, 'close')
      response.writeHead(200).flushHeaders()
    })
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY })
    const leaving = new AbortController()
    const headers = { 'x-api-key': token }
    await fetch(`${url}/v1/messages`, { ...POSTED, headers, signal: leaving.signal })
    leaving.abort()
    await left
  })

  test('breaks when the model breaks it off', async () => {
    const { url: base } = await upstream((_, response) => {
      response.writeHead(200).write('begun')
      setImmediate(() => response.destroy())
    })
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY })
    const answer = await fetch(`${url}/v1/messages`, { ...POSTED, headers: { 'x-api-key': token } })
    await expect(answer.text()).rejects.toThrow()
  })

  test('is the reason when the model cannot be reached', async () => {
    const { url, token } = await broker({ ANTHROPIC_BASE_URL: 'http://127.0.0.1:9', ANTHROPIC_API_KEY: KEY })
    const client = new Anthropic({ baseURL: url, apiKey: token, maxRetries: 0 })
    const asking = client.messages.create({
      model: 'm',
      max_tokens: 1,
      messages: [{ role: 'user', content: 'x' }],
    })
    const error: unknown = await asking.catch((thrown: unknown) => thrown)
    expect(error).toBeInstanceOf(APIError)
    expect(error).toMatchObject({
      status: 502,
      message: expect.stringContaining('127.0.0.1:9 (ECONNREFUSED)'),
    })
  })
})

describe('refused, and nothing of it goes out', () => {
  const open = async () => {
    const { url: base, seen } = await upstream(ok())
    return { ...(await broker({ ANTHROPIC_BASE_URL: base, ANTHROPIC_API_KEY: KEY })), seen }
  }

  test('who is not the session', async () => {
    const { url, token, seen } = await open()
    for (const shown of [
      {},
      { 'x-api-key': KEY },
      { 'x-api-key': '' },
      { authorization: `Bearer ${token}x` },
    ]) {
      const answer = await fetch(`${url}/v1/messages`, { ...POSTED, headers: { ...shown } })
      expect(answer.status).toBe(403)
      expect(await answer.json()).toMatchObject({ type: 'error', error: { type: 'permission_error' } })
    }
    expect(seen).toEqual([])
  })

  test.each([
    ['GET', '/v1/messages'],
    ['POST', '/v1/messages?beta=true&key=x'],
    ['POST', '/v1/messages?beta=false'],
    ['POST', '/v1/messages/'],
    ['POST', '//v1/messages'],
    ['POST', '/v1/./messages'],
    ['POST', '/v1/x/../messages'],
    ['POST', '/v1/%6dessages'],
    ['POST', '/v1/messages%00'],
    ['POST', '/v1/messages;a=b'],
    ['POST', '/v1/messages#x'],
    ['POST', '/v1/messages/batches'],
    ['POST', 'http://evil.example/v1/messages'],
    ['GET', '/v1/models/..'],
    ['GET', '/v1/models/.'],
    ['GET', '/v1/models/a%2f..%2f..%2ffiles'],
    ['GET', '/v1/models/a/b'],
    ['GET', '/v1/files'],
    ['GET', '/api/oauth/account'],
    ['GET', '/v1/organizations/me'],
    ['DELETE', '/v1/models/x'],
    ['OPTIONS', '*'],
    ['CONNECT', 'api.anthropic.com:443'],
  ])('%s %s', async (method, target) => {
    const { url, token, seen } = await open()
    const head = `${method} ${target} HTTP/1.1\r\nhost: x\r\nx-api-key: ${token}\r\nconnection: close\r\n`
    const answer = await rawAnswer(url, `${head}content-length: 2\r\n\r\n{}`)
    expect(answer).not.toMatch(/^HTTP\/1\.1 2/)
    expect(seen).toEqual([])
  })

  test.each([
    ['two lengths', 'content-length: 2\r\ncontent-length: 40\r\n'],
    ['a length and chunks', 'content-length: 2\r\ntransfer-encoding: chunked\r\n'],
    ['chunks under another name', 'transfer-encoding: xchunked\r\n'],
    ['a space before the colon', 'transfer-encoding : chunked\r\n'],
    ['a folded line', 'x-app: a\r\n transfer-encoding: chunked\r\n'],
  ])('%s: nothing behind it is a request of its own', async (_, framing) => {
    const { url, token, seen } = await open()
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${token}\r\n`
    const hidden = `POST /v1/files HTTP/1.1\r\nhost: x\r\n\r\n`
    await rawAnswer(url, `${head}${framing}connection: close\r\n\r\n{}${hidden}`)
    expect(seen.filter(({ url: asked }) => asked !== '/v1/messages')).toEqual([])
    for (const { body } of seen) expect(body.toString()).not.toContain('files')
  })

  test('a header that the connection names away does not take the credential with it', async () => {
    const { url, token, seen } = await open()
    const head = `POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: ${token}\r\nconnection: close, x-api-key, authorization\r\n`
    expect(await rawAnswer(url, `${head}content-length: 2\r\n\r\n{}`)).toMatch(/^HTTP\/1\.1 200/)
    expect(seen[0]?.headers['x-api-key']).toBe(KEY)
  })
})
