import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, type ClientEvent, events, post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const require = createRequire(import.meta.url)
/** MCP's own reference server, as a deployer configures it. */
const EVERYTHING = join(
  dirname(require.resolve('@modelcontextprotocol/server-everything/package.json')),
  'dist/index.js',
)
const FORM = { tool: 'mcp__everything__trigger-elicitation-request', input: {} }
const link = (errorPath: boolean) => ({
  tool: 'mcp__everything__trigger-url-elicitation',
  input: { url: 'https://example.com/consent', message: 'Please consent.', errorPath },
})
const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'Make the call now', round: 0 }, reply: [FORM] },
    { when: { prompt: 'form', round: 0 }, reply: ['I ask.', FORM] },
    { when: { prompt: 'link', round: 0 }, reply: [link(false)] },
    { when: { prompt: 'prerequisite', round: 0 }, reply: [link(true)] },
    { when: { result: { matches: '.*' } }, reply: 'It said: {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let runner: RunnerProcess
beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await start({ PERMISSION_MODE: 'accept-edits' })
})
afterAll(() => bench.close())

function start(env: Record<string, string>) {
  const file = join(bench.directory, 'mcp.json')
  const everything = { command: process.execPath, args: [EVERYTHING], env: {} }
  writeFileSync(file, JSON.stringify({ mcpServers: { everything } }))
  const allowedTools = [FORM.tool, link(false).tool]
  return bench.start({ PAYLOAD_MCP_CONFIG_FILE: file, SDK_OPTIONS: JSON.stringify({ allowedTools }), ...env })
}

function interruptOf(all: readonly ClientEvent[]) {
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'interrupt' } })
  return all.at(-1)?.['outcome'].interrupts[0]
}

const answer = (threadId: string, interruptId: string, payload: unknown) => ({
  ...runInput(threadId),
  messages: [],
  resume: [{ interruptId, status: 'resolved', payload }],
})

test('a form is asked of the person, held to its schema, and its answer reaches the server', async () => {
  const { id, ...interrupt } = interruptOf(await run(runner.url, runInput('form', 'form')))
  expect(interrupt).toMatchObject({
    reason: 'input_required',
    responseSchema: { properties: { content: { required: ['name'] } } },
    metadata: { 'agui-runner': { elicitation: { server: 'everything', mode: 'form' } } },
  })
  const { requestedSchema } = interrupt.metadata['agui-runner'].elicitation
  expect(requestedSchema.properties.email.format).toBe('email')
  for (const [payload, place] of [
    [{ action: 'accept' }, 'payload.content.name'],
    [{ action: 'accept', content: { name: 'Ada', integer: 101 } }, 'payload.content.integer'],
    [{ action: 'accept', content: { name: 'Ada', email: 'nobody' } }, 'payload.content.email'],
    [{ action: 'accept', content: { name: 'Ada', titledSingleSelectEnum: 'x' } }, 'titledSingleSelectEnum'],
    [{ action: 'accept', content: { name: { first: 'Ada' } } }, 'payload.content.name'],
    [{ action: 'yes' }, 'payload.action'],
    [true, 'payload'],
  ]) {
    const refused = await post(runner.url, answer('form', id, payload))
    expect([refused.status, (await bodyOf(refused))['error']]).toMatchObject([
      400,
      { code: 'invalid_input', message: expect.stringContaining(String(place)) },
    ])
  }
  // Reloaded, the page has the question still.
  const reloaded = await events(await fetch(`${runner.url}/sessions/form/connect?follow=false`))
  expect(interruptOf(reloaded).id).toBe(id)
  const content = { name: 'Ada', integer: 7, titledMultipleSelectEnum: ['fish-2'] }
  const all = await run(runner.url, answer('form', id, { action: 'accept', content }))
  expect(textOf(all)).toContain('- Name: Ada')
  expect(textOf(all)).toContain('- Favorite Integer: 7')
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test.each([
  [{ status: 'resolved', payload: { action: 'decline' } }, 'User declined'],
  [{ status: 'resolved', payload: { action: 'cancel' } }, 'User cancelled'],
  [{ status: 'cancelled' }, 'User cancelled'],
])('%j is what the server hears', async (entry, said) => {
  const { id } = interruptOf(await run(runner.url, runInput('no', 'form')))
  const resume = [{ interruptId: id, ...entry }]
  const all = await run(runner.url, { ...runInput('no'), messages: [], resume })
  expect(textOf(all)).toContain(said)
})

test('a page to go to is shown with its address', async () => {
  const { id, message, metadata } = interruptOf(await run(runner.url, runInput('url', 'link')))
  expect(message).toContain('https://example.com/consent')
  const asked = { mode: 'url', url: 'https://example.com/consent' }
  expect(metadata['agui-runner'].elicitation).toMatchObject(asked)
  const all = await run(runner.url, answer('url', id, { action: 'accept' }))
  expect(textOf(all)).toContain('accept')
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test('a page to go to before a call works (MCP error -32042) is asked for, and the call is made again', async () => {
  const first = interruptOf(await run(runner.url, runInput('before', 'prerequisite')))
  expect(first.message).toContain('https://modelcontextprotocol.io')
  const all = await run(runner.url, answer('before', first.id, { action: 'accept' }))
  const second = interruptOf(all)
  expect(second.message).toContain('https://example.com/consent')
})

test('a form outlives a kill -9 of the runner; its answer then reaches the server', async () => {
  const { id } = interruptOf(await run(runner.url, runInput('later', 'form')))
  await runner.stop('SIGKILL')
  runner = await start({ PERMISSION_MODE: 'accept-edits' })
  const { url } = runner
  const thread = await bodyOf(await fetch(`${url}/sessions/later`))
  expect(thread).toMatchObject({ state: 'interrupted', interrupts: [{ id }] })
  const wrong = await post(url, answer('later', id, { action: 'accept', content: {} }))
  expect(wrong.status).toBe(400)
  const all = await run(url, answer('later', id, { action: 'accept', content: { name: 'Grace' } }))
  expect(textOf(all)).toContain('- Name: Grace')
})

test('where nobody is asked it is declined, and said', async () => {
  const { url } = await start({
    PERMISSION_MODE: 'never-ask',
    RUNNER_STATE_DIR: join(bench.directory, 'never-ask'),
  })
  const all = await run(url, runInput('never', 'form'))
  expect(all.find(({ name }) => name === 'agui-runner.elicitation_declined')?.['value']).toMatchObject({
    server: 'everything',
    mode: 'form',
  })
  expect(textOf(all)).toContain('User declined')
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})
