import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, events, frames, post, run, runInput, textOf } from '../support/client.ts'
import { claudeOf, PATIENT, processesWith } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    {
      when: { prompt: 'escape', round: 0 },
      reply: [
        {
          tool: 'Bash',
          input: {
            command:
              'setsid nohup sleep 4711 >/dev/null 2>&1 & setsid env -i sleep 4712 & echo started; sleep 4713',
          },
        },
      ],
    },
    { reply: 'You said: {{prompt}}' },
  ],
}

const DEAD_PROXY = Object.fromEntries(
  ['HTTPS_PROXY', 'https_proxy', 'HTTP_PROXY', 'http_proxy'].map((name) => [name, 'http://127.0.0.1:9']),
)

let bench: Bench
afterEach(() => bench.close())

async function untilFirstDelta(response: Response): Promise<AsyncGenerator<{ event: { type: string } }>> {
  const reader = frames(response)
  for (;;) {
    const { value, done } = await reader.next()
    if (done === true || value.event.type === 'TEXT_MESSAGE_CONTENT') return reader
  }
}

test('SIGTERM ends the open run as cancelled, the stream cleanly, and everything any tool has started', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start()
  const response = await post(runner.url, runInput('escape', 'escape now'))
  const all = []
  let stopping: Promise<number | string> | undefined
  for await (const { event } of frames(response)) {
    all.push(event)
    if (event.type !== 'TOOL_CALL_END') continue
    // The tool runs as soon as its call is complete.
    await expect.poll(() => processesWith('sleep 471').length, PATIENT).toBeGreaterThanOrEqual(3)
    stopping = runner.stop('SIGTERM')
  }
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  expect(await stopping).toBe(0)
  expect(processesWith('sleep 471')).toEqual([])
  expect(claudeOf(bench)).toEqual([])
})

test.each([
  ['a missing binary', { CLAUDE_CLI_PATH: '/nowhere/claude' }, 'claude_not_found', /CLAUDE_CLI_PATH/],
  ['an unwritable HOME', { HOME: '/dev/null/home' }, 'home_not_writable', /HOME \(\/dev\/null\/home\)/],
  ['a dead gateway', DEAD_PROXY, 'model_unreachable', /proxy|connect/i],
  [
    'a wrong CA',
    { NODE_EXTRA_CA_CERTS: '/dev/null', SSL_CERT_FILE: '/dev/null' },
    'model_unreachable',
    /certificate/i,
  ],
])('%s is a clear error within seconds', async (_what, env, code, message) => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ CLAUDE_CONNECT_MAX_RETRIES: '1', ...env })
  const started = Date.now()
  const all = await run(runner.url, runInput('broken', 'hello'))
  expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code, message: expect.stringMatching(message) })
  expect(Date.now() - started).toBeLessThan(15_000)
  const ready = await fetch(`${runner.url}/ready`)
  expect(ready.status).toBe(503)
})

test('without a model route the server starts, is not ready, and a run says why', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({
    ANTHROPIC_BASE_URL: '',
    ANTHROPIC_API_KEY: '',
    ACP_OPENSHELL_INFERENCE: '',
  })
  const all = await run(runner.url, runInput('routeless', 'hello'))
  expect(all.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'no_model_route' })
  const ready = await fetch(`${runner.url}/ready`)
  const { checks } = await bodyOf(ready)
  expect(ready.status).toBe(503)
  expect(checks).toContainEqual({
    name: 'model_route',
    ok: false,
    message: expect.stringContaining('No model route'),
  })
})

test('a Claude process that dies in mid-run is told, and the next run resumes its session', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open()
  await run(runner.url, runInput('killed', 'remember blue'))
  const response = await post(runner.url, runInput('killed', 'hang on'))
  const reader = await untilFirstDelta(response)
  for (const pid of claudeOf(bench)) process.kill(pid, 'SIGKILL')
  const rest = []
  for await (const { event } of reader) rest.push(event)
  expect(rest.map(({ type }) => type)).toEqual(['TEXT_MESSAGE_END', 'RUN_ERROR'])
  expect(rest.at(-1)).toMatchObject({ code: 'claude_exited', message: expect.stringContaining('SIGKILL') })
  const next = await run(runner.url, runInput('killed', 'what was it?'))
  expect(textOf(next)).toBe('You said: what was it?')
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember blue')
})

test('an idle process is stopped and the next run resumes', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ CLAUDE_IDLE_MS: '50' })
  await run(runner.url, runInput('idle', 'remember green'))
  await expect.poll(() => claudeOf(bench), PATIENT).toEqual([])
  await run(runner.url, runInput('idle', 'and now?'))
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember green')
})

test('above CLAUDE_PROCESSES_MAX the process that is idle longest makes room', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ CLAUDE_PROCESSES_MAX: '1' })
  await run(runner.url, runInput('first', 'remember red'))
  await run(runner.url, runInput('second', 'hello'))
  expect(claudeOf(bench)).toHaveLength(1)
  await run(runner.url, runInput('first', 'and now?'))
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember red')
})

test('the process that started first and was used last stays', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ CLAUDE_PROCESSES_MAX: '2' })
  for (const threadId of ['first', 'second', 'first', 'third'])
    await run(runner.url, runInput(threadId, 'hello'))
  const warm = async (threadId: string): Promise<unknown> =>
    (await bodyOf(await fetch(`${runner.url}/sessions/${threadId}`)))['warm']
  expect(await Promise.all(['first', 'second', 'third'].map(warm))).toEqual([true, false, true])
})

test('when every process is at work one more run is refused with the limit named', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ CLAUDE_PROCESSES_MAX: '1' })
  await untilFirstDelta(await post(runner.url, runInput('first', 'hang on')))
  const all = await run(runner.url, runInput('second', 'hello'))
  expect(all.at(-1)).toMatchObject({
    code: 'too_many_processes',
    message: expect.stringContaining('CLAUDE_PROCESSES_MAX'),
  })
})

test('a Claude session whose file is gone is started anew, which is said once', async () => {
  bench = await openBench({ script: SCRIPT })
  const first = await bench.open()
  await run(first.url, runInput('lost', 'hello'))
  await first.stop()
  rmSync(join(bench.state, 'claude', 'projects'), { recursive: true })
  const runner = await bench.open()
  const again = await run(runner.url, runInput('lost', 'are you there?'))
  expect(again.filter(({ name }) => name === 'agui-runner.session_reset')).toHaveLength(1)
  expect(textOf(again)).toBe('You said: are you there?')
  const third = await run(runner.url, runInput('lost', 'and now?'))
  expect(third.filter(({ name }) => name === 'agui-runner.session_reset')).toHaveLength(0)
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('are you there?')
})

test('a runner that was killed closes the cut run in the log, and the thread goes on with its Claude session', async () => {
  bench = await openBench({ script: SCRIPT })
  const first = await bench.start()
  await run(first.url, runInput('cut', 'remember black'))
  const input = runInput('cut', 'hang on')
  await untilFirstDelta(await post(first.url, input))
  await first.stop('SIGKILL')
  const runner = await bench.start()
  expect(claudeOf(bench)).toEqual([])
  const all = await events(await fetch(`${runner.url}/sessions/cut/events?follow=false`))
  expect(all.slice(-2)).toMatchObject([
    { type: 'TEXT_MESSAGE_END' },
    { type: 'RUN_ERROR', code: 'runner_restarted' },
  ])
  const next = await run(runner.url, runInput('cut', 'what was it?'))
  expect(textOf(next)).toBe('You said: what was it?')
  expect(JSON.stringify(bench.gateway.requests.at(-1))).toContain('remember black')
})

test('a second instance on the same folder and address waits and ends with the first one’s exit code', async () => {
  bench = await openBench({ script: SCRIPT })
  const first = await bench.start()
  const second = bench.spawn()
  await expect.poll(second.stderr, PATIENT).toContain('attached')
  const other = bench.spawn({ AGUI_PORT: '9' })
  expect(await other.exited).toBe(2)
  expect(other.stderr()).toContain('serves this state folder')
  let isOver = false
  void second.exited.then(() => {
    isOver = true
  })
  expect((await fetch(`${first.url}/health`)).status).toBe(200)
  expect(isOver).toBe(false)
  await first.stop('SIGTERM')
  expect(await second.exited).toBe(0)
})

test('a second instance ends with 1 when the first is killed', async () => {
  bench = await openBench({ script: SCRIPT })
  const first = await bench.start()
  const second = bench.spawn()
  await expect.poll(second.stderr, PATIENT).toContain('attached')
  await first.stop('SIGKILL')
  expect(await second.exited).toBe(1)
})
