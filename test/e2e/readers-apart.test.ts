// A process that only reads, a runner beside it, one Redis: what a client gets of each is the same.
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { bodyOf, events, frames, post, run, runInput, textOf } from '../support/client.ts'
import { freePort } from '../support/ports.ts'
import { openRaw } from '../support/raw-socket.ts'
import { RedisServer } from '../support/redis-server.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { openSocket } from '../support/socket.ts'

const SCRIPT = {
  rules: [
    { when: { prompt: 'gated (\\w+)' }, reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' after' }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let redis: RedisServer
let bench: Bench
let runner: ScriptedRunner
let reader: RunnerProcess
let forwarder: RunnerProcess
beforeAll(async () => {
  redis = await RedisServer.start()
  bench = await openBench()
  const env = { EVENT_LOG_URL: redis.url }
  const port = String(await freePort())
  runner = await openScriptedRunner({ script: SCRIPT }, { ...env, AGUI_PORT: port })
  const read = async (more: Record<string, string>): Promise<RunnerProcess> => {
    const started = bench.spawn(
      { ...env, RUNNER_STATE_DIR: join(bench.directory, 'none'), WORKSPACE_PATH: '/nowhere', ...more },
      ['read'],
    )
    const line = await started.line(({ msg }) => msg === 'listening')
    return { ...started, url: String(line['url']) }
  }
  ;[reader, forwarder] = await Promise.all([read({}), read({ FORWARD_RUNS: 'true' })])
})
afterAll(async () => {
  await runner.close()
  await bench.close()
  await redis.close()
})

/** Without the comments that keep a connection alive where an answer takes its time. */
const read = async (url: string): Promise<string> =>
  (await (await fetch(url)).text()).replaceAll(/^:.*\n\n/gm, '')

/** Without what only the process that has the agent knows. */
async function threadsOf(url: string): Promise<unknown[]> {
  const { sessions } = await bodyOf(await fetch(`${url}/sessions`))
  return sessions.map(
    ({ warm: _, claudeSessionId: _id, model: _model, ...facts }: Record<string, unknown>) => facts,
  )
}

test('every stored stream is the same, byte for byte', async () => {
  await run(runner.url, runInput('stored', 'one'))
  await run(runner.url, runInput('stored', 'two'))
  for (const path of [
    '/sessions/stored/events?follow=false',
    '/sessions/stored/events?follow=false&after=3',
  ]) {
    expect(await read(`${reader.url}${path}`)).toBe(await read(`${runner.url}${path}`))
  }
  const facts = await Promise.all([reader, runner].map(({ url }) => threadsOf(url)))
  expect(facts[0]).toEqual(facts[1])
  const connects = await Promise.all(
    [reader, runner].map(async ({ url }) => await read(`${url}/sessions/stored/connect?follow=false`)),
  )
  const [one, two] = connects.map((text) => text.replaceAll(/connect-[\w-]{36}/g, 'connect'))
  expect(one).toBe(two)
})

test('a run is followed while it goes on, by every kind of reader', async () => {
  const waiting = fetch(`${reader.url}/events/live/wait`)
  const running = run(runner.url, runInput('live', 'gated now'))
  const tapped = await waiting
  const socket = await openSocket(reader.url)
  socket.send({ type: 'subscribe', threadId: 'live' })
  await socket.frame(({ event }) => event?.type === 'TEXT_MESSAGE_CONTENT')
  const connected = fetch(`${reader.url}/sessions/live/connect?until=run`)
  const followed: string[] = []
  for await (const { event } of frames(await fetch(`${reader.url}/sessions/live/events?until=run`))) {
    followed.push(event.type)
    if (event.type === 'TEXT_MESSAGE_CONTENT') runner.agent.openGate('now')
  }
  const told = await running
  expect(followed).toEqual(told.map(({ type }) => type))
  expect(textOf(await events(tapped))).toBe('before after')
  expect(textOf(await events(await connected))).toContain('after')
  await socket.frame(({ event }) => event?.type === 'RUN_FINISHED')
  await socket.close()
})

test('what would change a thread is told where it lives, or forwarded there', async () => {
  await run(runner.url, runInput('living', 'one'))
  const refused = await post(reader.url, runInput('living', 'two'))
  expect([refused.status, await bodyOf(refused)]).toMatchObject([
    409,
    { error: { code: 'elsewhere', details: { url: runner.url } } },
  ])
  expect(textOf(await run(forwarder.url, runInput('living', 'three')))).toBe('You said: three')
  const gone = await fetch(`${forwarder.url}/sessions/living`, { method: 'DELETE' })
  expect(gone.status).toBe(204)
  expect((await fetch(`${reader.url}/sessions/living`)).status).toBe(404)
})

test('nothing of the agent and of the workspace is there', async () => {
  expect((await fetch(`${reader.url}/content/tree`)).status).toBe(404)
  expect(await bodyOf(await fetch(`${reader.url}/capabilities`))).toMatchObject({ file_system: false })
  expect(await bodyOf(await fetch(`${reader.url}/ready`))).toEqual({
    ready: true,
    checks: [{ name: 'state', ok: true }],
  })
  const page = await fetch(reader.url, { headers: { accept: 'text/html' } })
  expect(await page.text()).toContain('<html')
})

test('a run that comes to the wrong runner is sent on by one that forwards: streams, answers, refusals', async () => {
  const env = { EVENT_LOG_URL: redis.url, AGUI_PORT: String(await freePort()), FORWARD_RUNS: 'true' }
  const wrong = await openScriptedRunner({ script: SCRIPT }, env)
  try {
    await run(runner.url, runInput('far', 'one'))
    const forwarded: string[] = []
    for await (const { event } of frames(await post(wrong.url, runInput('far', 'gated far')))) {
      forwarded.push(event.type)
      if (event.type === 'TEXT_MESSAGE_CONTENT') runner.agent.openGate('far')
    }
    expect(forwarded.at(-1)).toBe('RUN_FINISHED')
    // It ran where the thread lives, and a reader of either has it.
    expect(await read(`${wrong.url}/sessions/far/events?follow=false`)).toBe(
      await read(`${runner.url}/sessions/far/events?follow=false`),
    )
    expect(wrong.threads.list()).toEqual([])
    const said = await post(`${wrong.url}/sessions/far/messages`, { content: 'by message' })
    expect([said.status, await bodyOf(said)]).toMatchObject([202, { delivery: 'run' }])
    // What is wrong with it the right runner says.
    const bad = await post(wrong.url, { ...runInput('far', 'x'), tools: [{ name: '' }] })
    expect(bad.status).toBe(400)
    // One that was forwarded goes no further: two that are wrong about each other make no circle.
    const marked = await post(wrong.url, runInput('far', 'two'), { 'x-agui-runner-forwarded': '1' })
    expect(marked.status).toBe(409)
    // A URL in absolute form is the client's word for this runner, and not where the request goes next.
    const raw = await openRaw(wrong.url)
    const body = JSON.stringify(runInput('far', 'absolute'))
    const head = `content-type: application/json\r\nconnection: close\r\ncontent-length: ${body.length}`
    raw.send(`POST http://HOST/agui HTTP/1.1\r\nhost: HOST\r\n${head}\r\n\r\n${body}`)
    expect(await raw.closed).toContain('You said: absolute')
    // Who waits for a thread here has it also when it begins elsewhere.
    const arrived = wrong.threads.arrived('to-come', new AbortController().signal)
    const coming = fetch(`${wrong.url}/sessions/to-come/events?wait=true&until=run`)
    await run(runner.url, runInput('to-come', 'hello'))
    await arrived
    expect(textOf(await events(await coming))).toBe('You said: hello')
    // A thread that nobody has is its own.
    expect(textOf(await run(wrong.url, runInput('near', 'mine')))).toBe('You said: mine')
    expect(wrong.threads.list().map(({ threadId }) => threadId)).toEqual(['near'])
  } finally {
    await wrong.close()
  }
})
