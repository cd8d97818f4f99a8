import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { FAKE_JWT, FAKE_PEM, fake } from '../redaction/fake-secrets.ts'
import { messagesOf } from '../support/agui-replay.ts'
import { bodyOf, events, frames, post, run, runInput, textOf, userMessage } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { openSocket } from '../support/socket.ts'

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
    {
      when: { prompt: 'delegate', round: 0 },
      reply: [
        { tool: 'Agent', input: { description: 'look', prompt: SAID, subagent_type: 'general-purpose' } },
      ],
    },
    { when: { prompt: 'gated' }, reply: [{ text: 'before' }, { gate: 'steered' }, { text: ' after' }] },
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

test('the last words of a Claude Code that does not start are told without it', async () => {
  const path = join(bench.directory, 'dying-claude')
  writeFileSync(path, `#!/bin/sh\ncat >&2 <<'END'\n${SAID}\nEND\nexit 7\n`, { mode: 0o755 })
  const own = await bench.start({
    RUNNER_STATE_DIR: join(bench.directory, 'dying'),
    MY_SERVICE_PASSWORD: KNOWN,
    CLAUDE_CLI_PATH: path,
  })
  const sse = await (await post(own.url, runInput('dying', 'hello'))).text()
  expect(sse).toContain('RUN_ERROR')
  expect(sse).toContain('The value is [redacted], the token [redacted]')
  expectClean(sse, 'RUN_ERROR')
  await own.stop()
  expectClean(own.stderr(), 'its log')
})

test('a command that fails says why without it', async () => {
  const script = join(bench.directory, FAKE_JWT)
  const failed = bench.spawn({}, ['mock-gateway', '--script', script])
  expect(await failed.exited).not.toBe(0)
  expect(failed.stderr()).toContain('/[redacted]')
  expectClean(failed.stderr(), 'stderr')
})

test('a refusal that repeats what was sent tells it without it', async () => {
  const body = { ...runInput('refused', 'hello'), messages: [{ ...userMessage('x'), role: KNOWN }] }
  const refused = await post(runner.url, body)
  expect(refused.status).toBe(400)
  expectClean(await refused.text(), 'an error body')
  expectClean(await (await fetch(`${runner.url}/sessions/${encodeURIComponent(KNOWN)}`)).text(), 'a 404')
})

test('a snapshot, a WebSocket and what else tells of a thread show it nowhere', async () => {
  const said = await run(runner.url, runInput('leaky', `leak ${KNOWN}`))
  const connected = await (await fetch(`${runner.url}/sessions/leaky/connect?follow=false`)).text()
  expect(connected).toContain('MESSAGES_SNAPSHOT')
  expectClean(connected, '/connect')

  const socket = await openSocket(runner.url)
  socket.send({ type: 'subscribe', threadId: 'leaky' })
  await socket.frame(({ event }) => event?.type === 'RUN_FINISHED')
  socket.send({ type: 'run', input: runInput('told-by-socket', `leak ${FAKE_JWT}`) })
  await socket.frame(({ threadId, event }) => threadId === 'told-by-socket' && event?.type === 'RUN_FINISHED')
  socket.send({ type: 'interrupt', threadId: `${KNOWN} ${FAKE_JWT}` })
  const { error } = await socket.frame(({ type }) => type === 'error')
  expect(error?.message).toContain('"[redacted] [redacted]"')
  await socket.close()
  expect(socket.frames.length).toBeGreaterThan(said.length)
  const told = socket.frames.map((frame) => frame['event'] ?? frame['error'])
  expectClean(JSON.stringify(told), 'the WebSocket')

  for (const path of ['/metrics', '/capabilities', '/ready', '/tasks', '/mcp/status', '/repos/status']) {
    const answer = await fetch(`${runner.url}${path}`)
    expect(answer.status, path).toBe(200)
    expectClean(await answer.text(), path)
  }
})

test('an address nobody serves is repeated without it', async () => {
  for (const secret of [KNOWN, FAKE_JWT]) {
    const answer = await fetch(`${runner.url}/nowhere/${encodeURIComponent(secret)}`)
    expect(answer.status).toBe(404)
    expect((await bodyOf(answer))['error'].message).toContain('/nowhere/[redacted]')
  }
})

test('a workflow is told of without it', async () => {
  const own = await bench.open({ RUNNER_STATE_DIR: join(bench.directory, 'flow') })
  const workflow = await bodyOf(await post(`${own.url}/workflow`, { gitUrl: '', path: FAKE_JWT }))
  expect(workflow).toMatchObject({ path: '[redacted]' })
  await own.stop()
})

test('MCP servers are told without it', async () => {
  const name = `ghp_${fake(36)}`
  const config = join(bench.directory, 'mcp.json')
  writeFileSync(config, JSON.stringify({ mcpServers: { [name]: { command: 'false' } } }))
  const own = await bench.open({
    RUNNER_STATE_DIR: join(bench.directory, 'mcp'),
    PAYLOAD_MCP_CONFIG_FILE: config,
  })
  await run(own.url, runInput('mcp', 'hello'))
  const { servers } = await bodyOf(await fetch(`${own.url}/mcp/status`))
  expect(servers).toContainEqual(expect.objectContaining({ name: '[redacted]' }))
  expect(JSON.stringify(servers)).not.toContain(name)
  await own.stop()
})

/** The one task of a thread, with the file that has its output. */
async function taskOf(threadId: string): Promise<{ url: string; file: string }> {
  const { tasks } = await bodyOf(await fetch(`${runner.url}/tasks?thread_id=${threadId}`))
  const { claudeSessionId } = await bodyOf(await fetch(`${runner.url}/sessions/${threadId}`))
  const end = join(claudeSessionId, 'tasks', `${tasks[0].task_id}.output`)
  const temporary = join(bench.directory, `claude-${process.getuid?.()}`)
  const project = readdirSync(temporary).find((name) =>
    readdirSync(join(temporary, name)).includes(claudeSessionId),
  )
  return { url: `${runner.url}/tasks/${tasks[0].task_id}/output`, file: join(temporary, project ?? '', end) }
}

test("a task's output is told without it: a transcript, and text cut anywhere", async () => {
  await run(runner.url, runInput('leaky', 'delegate'))
  const { url, file } = await taskOf('leaky')
  const transcript = await (await fetch(url)).text()
  expect(transcript).toContain('The value is [redacted], the token [redacted], the key\\n[redacted]')
  expectClean(transcript, 'the transcript')
  // Claude Code's own file has every word.
  expect(readFileSync(file, 'utf8')).toContain(FAKE_JWT)

  // Lines of JSON whose escapes nobody expects, and text; each secret once across the border of a read.
  const escaped = [...KNOWN].map((char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`).join('')
  for (const secret of [KNOWN, JSON.stringify(KNOWN).slice(1, -1), FAKE_JWT, FAKE_PEM]) {
    const before = 'x'.repeat(65_536 - Math.floor(secret.length / 2) - 1)
    rmSync(file)
    writeFileSync(
      file,
      `${before} ${secret}\n{"one":"${escaped}","n":1.50}\n{"two":1.50, "line":"a\u2028b"}\nlast`,
    )
    const answer = await (await fetch(url.replace('/tasks', '/agui/tasks'))).text()
    expectClean(answer, 'the output')
    expect(JSON.parse(answer).output).toEqual([
      { raw: `${before} [redacted]` },
      { one: '[redacted]', n: 1.5 },
      { two: 1.5, line: 'a\u2028b' },
      { raw: 'last' },
    ])
    // A line without any is the line itself.
    expect(answer).toContain('{"two":1.50, "line":')
  }
})

test('a file of the workspace comes down as it went up', async () => {
  const content = `${SAID}\r\n${FAKE_JWT}\u0000\uFEFF`
  await post(`${runner.url}/content/write`, { path: `notes/${FAKE_JWT}.txt`, content })
  const name = encodeURIComponent(`${FAKE_JWT}.txt`)
  for (const path of [
    `/content/file?path=notes/${name}`,
    `/workspace/notes/${name}`,
    `/files/notes/${name}`,
  ]) {
    const bytes = await (await fetch(`${runner.url}${path}`)).arrayBuffer()
    expect(Buffer.from(bytes).equals(Buffer.from(content)), path).toBe(true)
  }
  // Else nobody could ask for it by the name that is listed.
  expect(await (await fetch(`${runner.url}/content/list?path=notes`)).text()).toContain(FAKE_JWT)
})

test('a client may send back the history that it was shown', async () => {
  const running = run(runner.url, runInput('history', `gated ${KNOWN} ${FAKE_JWT}`))
  const stream = await fetch(`${runner.url}/sessions/history/events?wait=true&until=run`)
  for await (const { event } of frames(stream)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
  const steered = await post(`${runner.url}/sessions/history/messages`, {
    content: `and this? ${KNOWN} ${FAKE_JWT}`,
    delivery: 'steer',
  })
  expect(await steered.json()).toMatchObject({ delivery: 'steer' })
  bench.gateway.open('steered')
  const streamed = await messagesOf(await running, 'history')
  expect(streamed.map(({ role, content }) => [role, content])).toContainEqual([
    'user',
    'and this? [redacted] [redacted]',
  ])

  const again = { ...runInput('history'), messages: [...streamed, userMessage(`leak ${KNOWN}`)] }
  const second = await run(runner.url, again)
  expect(second[0]?.['input'].messages).toMatchObject([{ content: 'leak [redacted]' }])
  // With tool calls and their results, by way of a snapshot.
  const connected = await events(await fetch(`${runner.url}/sessions/history/connect?follow=false`))
  const messages = connected.find(({ type }) => type === 'MESSAGES_SNAPSHOT')?.['messages']
  expect(new Set(messages.map(({ role }: { role: string }) => role))).toEqual(
    new Set(['user', 'reasoning', 'assistant', 'tool']),
  )
  const third = await run(runner.url, { ...runInput('history'), messages: [...messages, userMessage('bye')] })
  expect(third[0]?.['input'].messages).toMatchObject([{ content: 'bye' }])
  expect(textOf(third)).toBe('Done.')
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
  const asking = await bench.open({ PERMISSION_MODE: 'ask' })
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
