import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf, events, frames, post, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

const TOKEN = 'the-token-that-no-line-holds'
const AUTHORIZED = { authorization: `Bearer ${TOKEN}` }
const PROMPT = 'Xylophone: what the person has asked'
const TOOL_OUTPUT = 'Quagga-and-what-the-tool-has-said'
const REPLY = 'Zeugma: what the model has answered'

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({
    script: {
      rules: [
        { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
        { when: { prompt: 'fail' }, reply: [{ error: { status: 400, message: 'no such thing' } }] },
        {
          when: { prompt: 'Xylophone', round: 0 },
          reply: [{ tool: 'Bash', input: { command: `printf '%s-%s' Quagga and-what-the-tool-has-said` } }],
        },
        { when: { prompt: 'Xylophone' }, reply: REPLY },
        { reply: 'You said: {{prompt}}' },
      ],
    },
  })
  runner = await bench.start({ AGUI_TOKEN: TOKEN, LOG_LEVEL: 'debug' })
})
afterAll(() => bench.close())

async function runWithToken(input: ReturnType<typeof runInput>) {
  return await events(await post(runner.url, input, AUTHORIZED))
}

const lineOf = (msg: string, runId: string) =>
  runner.line((line) => line['msg'] === msg && line['runId'] === runId)

test('a run has its lines: who submitted it, its start, its process, its end; none tells what was said', async () => {
  const input = runInput('told', PROMPT)
  const { threadId, runId } = input
  const all = await runWithToken(input)
  expect(JSON.stringify(all)).toContain(TOOL_OUTPUT)
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED' })
  expect(await lineOf('run submitted', runId)).toMatchObject({
    level: 'info',
    threadId,
    reqId: expect.stringMatching(/^req-/),
  })
  expect(await lineOf('run started', runId)).toMatchObject({ level: 'info', threadId })
  expect(await lineOf('Claude Code started', runId)).toMatchObject({ threadId, pid: expect.any(Number) })
  expect(await lineOf('run ended', runId)).toMatchObject({
    level: 'info',
    threadId,
    outcome: 'success',
    ms: expect.any(Number),
  })
  const lines = runner.stderr()
  expect(lines).toContain(runId)
  for (const secret of [TOKEN, 'Xylophone', 'Quagga', 'Zeugma']) expect(lines).not.toContain(secret)
})

test('a run that fails says its code, one that is cancelled that, one that is refused why', async () => {
  const failing = runInput('failing', 'fail')
  const end = (await runWithToken(failing)).at(-1)
  expect(end).toMatchObject({ type: 'RUN_ERROR' })
  expect(await lineOf('run ended', failing.runId)).toMatchObject({ outcome: 'error', code: end?.['code'] })

  const hanging = runInput('busy', 'hang')
  const stream = await post(runner.url, hanging, AUTHORIZED)
  const second = runInput('busy', 'hello')
  expect((await post(runner.url, second, AUTHORIZED)).status).toBe(409)
  expect(await lineOf('request refused', second.runId)).toMatchObject({
    threadId: 'busy',
    code: 'thread_busy',
    reqId: expect.stringMatching(/^req-/),
  })
  await post(`${runner.url}/sessions/busy/interrupt`, {}, AUTHORIZED)
  await stream.text()
  expect(await lineOf('run ended', hanging.runId)).toMatchObject({ threadId: 'busy', outcome: 'cancelled' })
})

test('runs that come by a WebSocket or as a message have them too', async () => {
  const socket = await openSocket(runner.url, [`bearer.${TOKEN}`])
  const input = runInput('by-socket', 'hello')
  socket.send({ type: 'run', input })
  expect(await lineOf('run submitted', input.runId)).toMatchObject({
    threadId: 'by-socket',
    reqId: expect.stringMatching(/^req-/),
  })
  expect(await lineOf('run ended', input.runId)).toMatchObject({ outcome: 'success' })
  await socket.close()
  const answer = await post(
    `${runner.url}/sessions/by-socket/messages`,
    { content: 'more', delivery: 'queue' },
    AUTHORIZED,
  )
  const { runId } = await bodyOf(answer)
  expect(await lineOf('message accepted', runId)).toMatchObject({ threadId: 'by-socket', delivery: 'run' })
  expect(await lineOf('run ended', runId)).toMatchObject({ threadId: 'by-socket', outcome: 'success' })
})

test('a process that dies in a run is told with the run', async () => {
  const input = runInput('dying', 'hang')
  const stream = await post(runner.url, input, AUTHORIZED)
  const { pid } = await lineOf('Claude Code started', input.runId)
  for await (const { event } of frames(stream))
    if (event.type === 'TEXT_MESSAGE_CONTENT') process.kill(Number(pid), 'SIGKILL')
  expect(await lineOf('Claude Code died', input.runId)).toMatchObject({
    level: 'warn',
    threadId: 'dying',
    signal: 'SIGKILL',
    wanted: false,
  })
  expect(await lineOf('run ended', input.runId)).toMatchObject({ outcome: 'error', code: 'claude_exited' })
})
