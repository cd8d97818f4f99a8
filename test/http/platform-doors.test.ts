// The runner as a control plane's proxy asks (control-plane.md 2.3): no Authorization, the Host that it dials, and files of
// 16 MiB; and as what else reaches it there.
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner(
    { script: { rules: [{ reply: 'hello' }] } },
    {
      SESSION_ID: 'session-1',
      AGUI_ALLOWED_HOSTS: 'session-1.team.svc.cluster.local,10.1.2.3,FD00::5,[fd00::6]',
    },
  )
})
afterAll(() => runner.close())

const PROXY = '127.0.0.1:8001'

function ask(
  method: string,
  path: string,
  { host = PROXY, body }: { host?: string; body?: unknown } = {},
): Promise<{ status: number; text: string }> {
  const { port } = new URL(runner.url)
  const bytes = body === undefined ? undefined : Buffer.from(JSON.stringify(body))
  const json =
    bytes === undefined ? {} : { 'content-type': 'application/json', 'content-length': bytes.length }
  return new Promise((resolve, reject) => {
    const sent = request(
      { port, method, path, headers: { host, ...json, connection: 'close' } },
      (answer) => {
        let text = ''
        answer.setEncoding('utf8').on('data', (piece: string) => {
          text += piece
          // A stream of events goes on; its head says all.
          if (path.startsWith('/events')) sent.destroy()
        })
        answer.once('close', () => resolve({ status: answer.statusCode ?? 0, text }))
      },
    )
    sent.on('error', reject)
    sent.end(bytes)
  })
}

const RUN = {
  threadId: 'session-1',
  runId: 'r',
  messages: [{ id: 'm', role: 'user', content: 'hi' }],
  tools: [],
  context: [],
}

test.each([
  ['GET', '/capabilities', undefined, 200],
  ['GET', '/tasks', undefined, 200],
  ['GET', '/tasks/none/output', undefined, 404],
  ['GET', '/mcp/status', undefined, 200],
  ['GET', '/repos/status', undefined, 200],
  ['GET', '/content/list', undefined, 200],
  ['GET', '/content/git-status', undefined, 200],
  ['POST', '/', RUN, 200],
  ['GET', '/events/session-1', undefined, 200],
  ['POST', '/interrupt', {}, 200],
  ['POST', '/feedback', { type: 'META', metaType: 'thumbs_up', payload: {} }, 200],
  ['POST', '/content/write', { path: 'a.txt', content: 'YQ==', encoding: 'base64' }, 200],
  ['GET', '/content/file?path=a.txt', undefined, 200],
  ['DELETE', '/content/delete', { path: 'a.txt' }, 200],
  ['POST', '/tasks/none/stop', undefined, 404],
])('%s %s is answered', async (method, path, body, status) => {
  const answer = await ask(method, path, { body })
  expect([answer.status, answer.text]).toEqual([
    status,
    expect.not.stringMatching(/host_not_allowed|unauthorized/),
  ])
})

test('a file of 16 MiB goes up as base64, and a body above the limit does not', async () => {
  const bytes = Buffer.alloc(16 * 1024 * 1024, 'x')
  const up = await ask('POST', '/content/write', {
    body: { path: 'large.bin', content: bytes.toString('base64'), encoding: 'base64' },
  })
  expect(up.status).toBe(200)
  expect(readFileSync(`${runner.config.workspace}/large.bin`).equals(bytes)).toBe(true)
  const above = await ask('POST', '/content/write', {
    body: { path: 'b', content: 'x'.repeat(23 * 1024 * 1024) },
  })
  expect(above.status).toBe(413)
  // Everywhere else a body is as small as before.
  expect((await ask('POST', '/feedback', { body: { x: 'x'.repeat(11 * 1024 * 1024) } })).status).toBe(413)
})

test('hosts are those of the configuration: the platform’s Service, and the address that a probe asks', async () => {
  const status = async (host: string) => [host, (await ask('GET', '/ready', { host })).status]
  const ours = [
    'session-1.team.svc.cluster.local:8001',
    '10.1.2.3:8001',
    '10.1.2.3',
    '[fd00::5]:8001',
    '[fd00::6]',
  ]
  const others = ['10.9.9.9:8001', 'evil.example', '[fd00::7]:8001', '10.1.2.3.evil.example', 'fd00::5:8001']
  expect(await Promise.all(ours.map(status))).toEqual(ours.map((host) => [host, 200]))
  expect(await Promise.all(others.map(status))).toEqual(others.map((host) => [host, 403]))
  // Liveness says nothing, and asks nobody who they are.
  expect((await ask('GET', '/health', { host: '10.9.9.9:8001' })).status).toBe(200)
})

test('what the control plane keeps in the workspace is nobody’s to list, read, write or remove', async () => {
  const { workspace } = runner.config
  mkdirSync(`${workspace}/.acp-runtime`)
  mkdirSync(`${workspace}/below/.acp-runtime`, { recursive: true })
  writeFileSync(`${workspace}/.acp-runtime/ca.pem`, 'kept')
  symlinkSync('.acp-runtime', `${workspace}/link`)
  const { items } = JSON.parse((await ask('GET', '/content/list')).text)
  expect(items.map(({ name }: { name: string }) => name)).not.toContain('.acp-runtime')
  for (const path of [
    '.acp-runtime/ca.pem',
    '/.acp-runtime/ca.pem',
    'link/ca.pem',
    `${workspace}/./.acp-runtime/ca.pem`,
  ]) {
    const query = `path=${encodeURIComponent(path)}`
    const answers = [
      await ask('GET', `/content/file?${query}`),
      await ask('GET', `/content/list?${query}`),
      await ask('POST', '/content/write', { body: { path, content: 'x' } }),
      await ask('DELETE', '/content/delete', { body: { path } }),
    ]
    expect(answers.map(({ status }) => status)).toEqual([400, 400, 400, 400])
  }
  expect(readFileSync(`${workspace}/.acp-runtime/ca.pem`, 'utf8')).toBe('kept')
  // Elsewhere it is a name like others.
  expect(
    (await ask('POST', '/content/write', { body: { path: 'below/.acp-runtime/a', content: 'x' } })).status,
  ).toBe(200)
})
