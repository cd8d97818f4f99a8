// Requests that no route expects: what is in them is refused with a reason, and who leaves is no failure of the runner.
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseSdkOverrides } from '../../src/claude/launch/sdk-overrides.ts'
import { loadConfig } from '../../src/config.ts'
import { openRaw } from '../support/raw-socket.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const TOKEN = 'the-token'
let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner(
    { script: { rules: [{ reply: 'hello' }] } },
    { AGUI_TOKEN: TOKEN, REQUEST_BODY_BYTES_MAX: '65536', SESSION_ID: 'own', SSE_KEEPALIVE_MS: '100' },
  )
})
afterAll(() => runner.close())

/** The answer to a request with these header lines, behind the token. */
async function ask(line: string, headers: readonly string[] = [], body = ''): Promise<string> {
  const socket = await openRaw(runner.url)
  const head = [line, ...headers, `x-ambient-session-token: ${TOKEN}`, 'connection: close']
  const length = body === '' ? [] : [`content-length: ${Buffer.byteLength(body)}`]
  socket.send(`${[...head, ...length].join('\r\n')}\r\n\r\n${body}`)
  return await socket.closed
}

const JSON_TYPE = 'content-type: application/json'

test.each([
  ['two hosts', ['host: HOST', 'host: evil.example']],
  ['two hosts of which the first is foreign', ['host: evil.example', 'host: HOST']],
  [
    'a right token and a wrong one',
    ['host: HOST', `authorization: Bearer ${TOKEN}`, 'authorization: Bearer x'],
  ],
  ['two content types', ['host: HOST', JSON_TYPE, 'content-type: text/plain']],
])('%s are one too many', async (_what, headers) => {
  const answer = await ask('POST /interrupt HTTP/1.1', headers)
  expect(answer).toMatch(/^HTTP\/1\.1 400 /)
  expect(answer).toMatch(/"The header (host|authorization|content-type) may stand in a request once\."/)
})

test.each([
  ['POST /interrupt', 'content-encoding: gzip'],
  ['PUT /files/odd.txt', 'content-encoding: br'],
  ['PUT /workspace/odd.txt', 'Content-Encoding: GZIP, identity'],
])('%s does not take a body with %s for a plain one', async (line, coding) => {
  const answer = await ask(`${line} HTTP/1.1`, ['host: HOST', JSON_TYPE, coding], '{}')
  expect(answer).toMatch(/^HTTP\/1\.1 415 /)
  expect(answer).toContain('without Content-Encoding')
  expect(existsSync(join(runner.config.workspace, 'odd.txt'))).toBe(false)
})

test('a transfer coding that is not decoded is refused, and no coding at all is not', async () => {
  const chunked = ['host: HOST', `x-ambient-session-token: ${TOKEN}`, 'transfer-encoding: gzip, chunked']
  const socket = await openRaw(runner.url)
  socket.send(`PUT /files/odd.txt HTTP/1.1\r\n${chunked.join('\r\n')}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`)
  expect(await socket.heard(/\}\}/)).toMatch(/^HTTP\/1\.1 415 /)
  socket.destroy()
  const identity = await ask(
    'POST /interrupt HTTP/1.1',
    ['host: HOST', JSON_TYPE, 'content-encoding: identity'],
    '{}',
  )
  expect(identity).toMatch(/^HTTP\/1\.1 200 /)
})

test('a part of a file does not replace the file', async () => {
  const put = (headers: string[]) =>
    ask('PUT /files/whole.txt HTTP/1.1', ['host: HOST', ...headers], 'all of it')
  expect(await put([])).toMatch(/^HTTP\/1\.1 200 /)
  const part = await put(['content-range: bytes 0-8/90'])
  expect(part).toMatch(/^HTTP\/1\.1 400 /)
  expect(part).toContain('Content-Range')
})

test.each([
  ['text/plain', '{}', 415, 'send it with content-type: application/json'],
  ['text/xml', '<a/>', 415, 'send it with content-type: application/json'],
  ['application/json', `"${'x'.repeat(70_000)}"`, 413, 'raise REQUEST_BODY_BYTES_MAX'],
])('a body of %s that is not taken: the answer says what would be', async (type, body, status, says) => {
  const answer = await ask('POST /interrupt HTTP/1.1', ['host: HOST', `content-type: ${type}`], body)
  expect(answer).toContain(`HTTP/1.1 ${status} `)
  expect(answer).toContain(says)
})

test.each(['', '  ', 'two words', 'a\nb', '--help', 'x'.repeat(257), 'a\tb'])(
  '%j is the name of no model, for a thread and for all',
  async (model) => {
    const answer = await ask('POST /model HTTP/1.1', ['host: HOST', JSON_TYPE], JSON.stringify({ model }))
    expect(answer).toMatch(/^HTTP\/1\.1 400 /)
    expect(answer).toContain('must be the name of a model')
    if (model.trim() === '') return
    const load = () =>
      loadConfig({ HOME: '/home/x', LLM_MODEL: model }, { appDirectory: '/app', workingDirectory: '/work' })
    expect(load).toThrow('LLM_MODEL: must be the name of a model')
    expect(() => parseSdkOverrides(JSON.stringify({ model }), { model: undefined, env: {} })).toThrow(
      'SDK_OPTIONS',
    )
  },
)

test.each(['opus', 'claude-opus-4-1[1m]', ' arn:aws:bedrock:us-east-1:1:inference-profile/us.x-v1:0\n'])(
  '%j names a model',
  async (model) => {
    const body = JSON.stringify({ model, thread_id: 'own' })
    const answer = await ask('POST /model HTTP/1.1', ['host: HOST', JSON_TYPE], body)
    expect(answer).toMatch(/^HTTP\/1\.1 200 /)
    expect(answer).toContain(`"model":"${model.trim()}"`)
  },
)

test.each(['events?wait=true', 'connect?wait=true'])(
  'HEAD of a stream announces no length: %s',
  async (path) => {
    const answer = await ask(`HEAD /sessions/own/${path} HTTP/1.1`, ['host: HOST'])
    expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*text\/event-stream/)
    expect(answer).not.toMatch(/content-length/i)
  },
)

test('the document names no query of a snapshot that is not read', async () => {
  const answer = await fetch(`${runner.url}/openapi.json`, { headers: { 'x-ambient-session-token': TOKEN } })
  const { paths } = (await answer.json()) as {
    paths: Record<string, { get: { parameters: { name: string }[] } }>
  }
  const namesOf = (path: string) => paths[path]?.get.parameters.map(({ name }) => name)
  expect(namesOf('/sessions/{threadId}/connect')).not.toContain('after')
  expect(namesOf('/sessions/{threadId}/events')).toContain('after')
})

describe('who leaves', () => {
  test.each([
    [
      'a run',
      `POST / HTTP/1.1`,
      JSON.stringify({ threadId: 'left', runId: 'r', messages: [{ id: 'm', role: 'user', content: 'hi' }] }),
    ],
    ['a question that git answers', 'GET /changes HTTP/1.1', ''],
  ])('before the answer to %s begins is noted, and is no failure', async (_what, line, body) => {
    const socket = await openRaw(runner.url)
    const head = [line, 'host: HOST', JSON_TYPE, `x-ambient-session-token: ${TOKEN}`]
    socket.send(`${head.join('\r\n')}\r\ncontent-length: ${body.length}\r\n\r\n${body}`)
    await socket.flushed()
    socket.destroy()
    const line_ = await runner.line(({ msg }) => msg === 'client left' || msg === 'request failed')
    expect(line_['msg']).toBe('client left')
  })
})

test('a silent socket is pinged, as a silent stream has its comments', async () => {
  const socket = await openSocket(runner.url, [`bearer.${TOKEN}`])
  await once(socket.socket, 'ping')
  await once(socket.socket, 'ping')
  await socket.close()
})

test('a frame above the limit closes the socket, and is no failure of the runner', async () => {
  const socket = await openSocket(runner.url, [`bearer.${TOKEN}`])
  socket.send('x'.repeat(70_000))
  const line = await runner.line(({ reason, err }) => /payload/.test(String(reason)) || err !== undefined)
  expect([line['msg'], line['level']]).toEqual(['socket failed', 30])
})
