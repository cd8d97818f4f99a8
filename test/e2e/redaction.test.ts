import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { FAKE_JWT, FAKE_PEM, fake } from '../redaction/fake-secrets.ts'
import { post, runInput, userMessage } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

/** What the runner knows from its environment, and what it can only know by its form. */
const KNOWN = `pw"${fake(20)}\\${fake(8)}`
const ALL = [KNOWN, JSON.stringify(KNOWN).slice(1, -1), FAKE_JWT, FAKE_PEM.split('\n')[2] ?? '']
const SAID = `The value is ${KNOWN}, the token ${FAKE_JWT}, the key\n${FAKE_PEM}\n`

const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'leak', round: 0 },
      reply: [
        { thinking: SAID, signature: 'sig', pieces: 200 },
        { text: SAID, pieces: 300 },
        { tool: 'Write', input: { file_path: '{{cwd}}/secret.txt', content: SAID }, pieces: 250 },
      ],
    },
    {
      when: { prompt: 'leak', round: 1 },
      reply: [{ tool: 'Bash', input: { command: 'cat secret.txt; cat secret.txt >&2' } }],
    },
    {
      // Too large for an event, so that the result becomes a blob.
      when: { prompt: 'leak', round: 2 },
      reply: [{ tool: 'Bash', input: { command: 'cat secret.txt; seq 3000; cat secret.txt' } }],
    },
    {
      when: { prompt: 'ask', round: 0 },
      reply: [{ tool: 'Bash', input: { command: `touch asked.txt && echo ${FAKE_JWT}` } }],
    },
    { when: { prompt: 'fail' }, reply: [{ error: { status: 400, message: SAID } }] },
    { reply: 'Done.' },
  ],
}

let bench: Bench
let runner: RunnerProcess
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.start({ MY_SERVICE_PASSWORD: KNOWN, EVENT_BYTES_MAX: '8192', LOG_LEVEL: 'trace' })
})
afterAll(() => bench.close())

function expectClean(text: string, where: string): void {
  for (const secret of ALL) expect(text.includes(secret), `${secret.slice(0, 12)}… in ${where}`).toBe(false)
}

/** Every file below, but those of Claude Code itself. */
function filesOf(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(bench.state, 'claude')))
}

test('a secret that the model says, thinks, writes and reads leaves by no way', async () => {
  const sse = await (await post(runner.url, runInput('leaky', `leak ${KNOWN}`))).text()
  expect(sse).toContain('RUN_FINISHED')
  expect(sse).toContain('[redacted]')
  expectClean(sse, 'the stream')
  // Claude Code itself got every word.
  expect(readFileSync(join(bench.workspace, 'secret.txt'), 'utf8')).toBe(SAID)

  const blobs = [...sse.matchAll(/\/sessions\/leaky\/blobs\/[\w-]+/g)].map(([path]) => path)
  expect(blobs.length).toBeGreaterThan(0)
  for (const path of new Set(blobs)) expectClean(await (await fetch(`${runner.url}${path}`)).text(), path)
  for (const path of ['/sessions', '/sessions/leaky', '/sessions/leaky/events?follow=false']) {
    expectClean(await (await fetch(`${runner.url}${path}`)).text(), path)
  }
})

test('a failed request tells its error without it', async () => {
  const sse = await (await post(runner.url, runInput('failing', 'fail'))).text()
  expect(sse).toContain('RUN_ERROR')
  expectClean(sse, 'RUN_ERROR')
})

test('a refusal that repeats what was sent tells it without it', async () => {
  const body = { ...runInput('refused', 'hello'), messages: [{ ...userMessage('x'), role: KNOWN }] }
  const refused = await post(runner.url, body)
  expect(refused.status).toBe(400)
  expectClean(await refused.text(), 'an error body')
  expectClean(await (await fetch(`${runner.url}/sessions/${encodeURIComponent(KNOWN)}`)).text(), 'a 404')
})

test('the files of the runner hold none', async () => {
  await runner.stop()
  const files = filesOf(bench.state)
  const log = files.find((path) => path.endsWith('runner.log')) ?? ''
  expect(readFileSync(log, 'utf8')).toContain('[redacted]')
  expect(files.some((path) => path.includes('store'))).toBe(true)
  for (const path of files) expectClean(readFileSync(path, 'latin1'), path)
  expectClean(runner.stderr(), 'stdout and stderr')
})

test('a question is shown without it, and its answer runs what was asked', async () => {
  const asking = await bench.start({ PERMISSION_MODE: 'ask' })
  const sse = await (await post(asking.url, runInput('asking', 'ask'))).text()
  expect(sse).toContain('"type":"interrupt"')
  expectClean(sse, 'the interrupt')
  const shown = await (await fetch(`${asking.url}/sessions/asking`)).json()
  expectClean(JSON.stringify(shown), 'GET /sessions')
  const busy = await post(asking.url, runInput('asking', 'something else'))
  expect(busy.status).toBe(409)
  expectClean(await busy.text(), 'the 409')

  const [{ id }] = (shown as { interrupts: [{ id: string }] }).interrupts
  const resume = [{ interruptId: id, status: 'resolved', payload: { approved: true } }]
  const answered = await (await post(asking.url, { ...runInput('asking'), resume })).text()
  expectClean(answered, 'the answered run')
  expect(answered).toContain('RUN_FINISHED')
  // The request that told the model the tool's result: the command ran as it was asked.
  const told = bench.gateway.requests.map((request) => JSON.stringify(request)).join('\n')
  expect(told).toContain(FAKE_JWT)
})
