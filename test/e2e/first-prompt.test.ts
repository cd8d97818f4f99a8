import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { events, post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench } from '../support/runner.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'fail' }, reply: [{ error: { status: 400, message: 'no' } }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { when: { prompt: 'make', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'touch made' } }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

/** As a control plane starts a session that ends by itself; no file of this machine's may get in. */
const ONCE = {
  SESSION_ID: 'session-1',
  STOP_ON_RUN_FINISHED: 'true',
  INITIAL_PROMPT_FILE: '/nowhere/prompt.txt',
}

let bench: Bench
afterEach(() => bench.close())

test.each([
  ['a time-out', { INITIAL_PROMPT: 'hang on', RUN_TIMEOUT_MS: '1500' }, 4],
  ['a question to a person', { INITIAL_PROMPT: 'make it', PERMISSION_MODE: 'ask' }, 5],
])('the process ends by itself after %s, with its code', async (_what, env, code) => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start({ ...ONCE, ...env })
  expect(await runner.exited).toBe(code)
})

/** A hook of the deployer's own settings, which Claude Code reads from HOME. */
function hook(event: string, command: string): void {
  const folder = join(bench.directory, 'claude')
  mkdirSync(folder)
  const hooks = { [event]: [{ hooks: [{ type: 'command', command }] }] }
  writeFileSync(join(folder, 'settings.json'), JSON.stringify({ hooks }))
}

test.each([
  ['refuses the prompt', 'UserPromptSubmit', 'echo "not with me" >&2; exit 2', 'prompt_refused', 3],
  [
    'ends the turn after a tool',
    'PostToolUse',
    `echo '{"continue":false,"stopReason":"enough"}'`,
    'enough',
    4,
  ],
])('a hook that %s is no success', async (_what, event, command, said, code) => {
  bench = await openBench({ script: SCRIPT })
  hook(event, command)
  const settings = { CLAUDE_CONFIG_DIR: join(bench.directory, 'claude'), CLAUDE_SETTING_SOURCES: 'user' }
  const env = { ...ONCE, ...settings, INITIAL_PROMPT: 'make it' }
  const runner = await bench.start(env)
  const all = await events(await fetch(`${runner.url}/sessions/session-1/events?until=run&wait=true`))
  expect(JSON.stringify(all.slice(-2))).toContain(said)
  expect(await runner.exited).toBe(code)
})

test('a result that was asked for and is not there is no success', async () => {
  bench = await openBench({ script: SCRIPT })
  const { url } = await bench.open()
  const outputSchema = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] }
  const input = { ...runInput('shape', 'hello'), forwardedProps: { claude: { outputSchema } } }
  expect((await run(url, input)).at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'schema_not_satisfied' })
})

test('the prompt runs on the session’s thread, once and only once per state folder; its file wins over the variable', async () => {
  bench = await openBench({ script: SCRIPT })
  const file = join(bench.directory, 'prompt.txt')
  writeFileSync(file, 'from the file')
  const prompt = { INITIAL_PROMPT: 'hello', INITIAL_PROMPT_FILE: file }
  const env = { ...ONCE, STOP_ON_RUN_FINISHED: 'false', ...prompt }
  const first = await bench.start(env)
  const all = await events(await fetch(`${first.url}/sessions/session-1/events?until=run`))
  expect(textOf(all)).toBe('You said: from the file')
  await first.stop()
  const second = await bench.start(env)
  await second.line((line) => String(line['msg']).includes('was run before'))
  const again = await events(await fetch(`${second.url}/sessions/session-1/events?follow=false`))
  expect(again).toEqual(all)
})

test('the process ends by itself after a failure, with 3, and again when it is started anew: the prompt was run before', async () => {
  bench = await openBench({ script: SCRIPT })
  const env = { ...ONCE, INITIAL_PROMPT: 'fail please' }
  expect(await (await bench.start(env)).exited).toBe(3)
  expect(await (await bench.start(env)).exited).toBe(3)
})

test('a resume skips the prompt, and its first run ends the process', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start({ ...ONCE, INITIAL_PROMPT: 'hello', IS_RESUME: 'true' })
  const all = await run(runner.url, runInput('session-1', 'go on'))
  expect(textOf(all)).toBe('You said: go on')
  expect(await runner.exited).toBe(0)
})

test('a network that comes late is waited for, with the reason in the log; a success ends the process with 0', async () => {
  bench = await openBench({ script: { ...SCRIPT, connect: { fault: 'bad-gateway', times: 1 } } })
  const runner = await bench.start({ ...ONCE, INITIAL_PROMPT: 'hello', CLAUDE_CONNECT_RETRY_DELAY: '0' })
  await runner.line((line) => line['msg'] === 'the model route does not answer yet')
  expect(await runner.exited).toBe(0)
})

test('SIGTERM in the middle of the first run ends the process with 0', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start({ ...ONCE, INITIAL_PROMPT: 'hang on' })
  await fetch(`${runner.url}/sessions/session-1/events?wait=true`).then(async (response) => {
    const reader = response.body?.getReader()
    let text = ''
    while (!text.includes('partial')) text += new TextDecoder().decode((await reader?.read())?.value)
    await reader?.cancel()
  })
  expect(await runner.stop('SIGTERM')).toBe(0)
})

test('configuration errors are told together, by name, with exit code 2 and no value', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = bench.spawn({
    AGUI_PORT: 'eighty',
    PERMISSION_MODE: 'yolo',
    THREADS_MAX: '0',
    AGUI_HOST: '0.0.0.0',
  })
  expect(await runner.exited).toBe(2)
  for (const name of ['AGUI_PORT', 'PERMISSION_MODE', 'THREADS_MAX']) expect(runner.stderr()).toContain(name)
  expect(runner.stderr()).not.toContain('eighty')
  const open = bench.spawn({ AGUI_HOST: '0.0.0.0' })
  expect(await open.exited).toBe(2)
  expect(open.stderr()).toContain('AGUI_TOKEN')
  // Folders that cannot be are as wrong.
  const file = join(bench.directory, 'file')
  writeFileSync(file, '')
  for (const name of ['RUNNER_STATE_DIR', 'WORKSPACE_PATH']) {
    const nowhere = bench.spawn({ [name]: join(file, 'folder') })
    expect(await nowhere.exited).toBe(2)
    expect(nowhere.stderr()).toContain(`${name}: no folder can be made there`)
  }
})

test('a prompt file that is there and cannot be read ends the start with 2; a missing one does not', async () => {
  bench = await openBench({ script: SCRIPT })
  const [folder, noText] = ['folder', 'no-text.txt'].map((name) => join(bench.directory, name)) as [
    string,
    string,
  ]
  mkdirSync(folder)
  writeFileSync(noText, Buffer.from([0x68, 0x69, 0xff]))
  for (const INITIAL_PROMPT_FILE of [folder, noText]) {
    const runner = bench.spawn({ INITIAL_PROMPT: 'hello', INITIAL_PROMPT_FILE })
    expect(await runner.exited).toBe(2)
    expect(runner.stderr()).toContain(
      `INITIAL_PROMPT_FILE: ${INITIAL_PROMPT_FILE} is there, and cannot be read`,
    )
  }
  await bench.start({ INITIAL_PROMPT_FILE: join(noText, 'below') })
})

test('with a token every route but health needs it', async () => {
  bench = await openBench({ script: SCRIPT })
  const { url } = await bench.open({ AGUI_TOKEN: 'the-token' })
  expect((await fetch(`${url}/health`)).status).toBe(200)
  const without = await post(url, runInput('locked', 'hello'))
  expect([without.status, await without.json()]).toMatchObject([401, { error: { code: 'unauthorized' } }])
  for (const headers of [{ authorization: 'Bearer the-token' }, { 'x-ambient-session-token': 'the-token' }]) {
    expect((await fetch(`${url}/sessions`, { headers })).status).toBe(200)
  }
  expect((await fetch(`${url}/sessions`, { headers: { authorization: 'Bearer the-toke' } })).status).toBe(401)
  const foreign = await fetch(`${url}/sessions`, {
    headers: { origin: 'https://evil.example', authorization: 'Bearer the-token' },
  })
  expect([foreign.status, await foreign.json()]).toMatchObject([
    403,
    { error: { code: 'origin_not_allowed' } },
  ])
})
