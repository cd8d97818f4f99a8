// A client may send back a history that it has edited. What the agent's own conversation does not take from it is named.
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { HttpAgent } from '@ag-ui/client'
import type { Message } from '@ag-ui/core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { post, run, runInput, userMessage } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

const SCRIPT = {
  rules: [
    { when: { prompt: 'look', round: 0 }, reply: ['I look. ', { tool: 'Look', input: { at: 'x' } }] },
    { when: { prompt: 'ask', round: 0 }, reply: [{ tool: 'page', input: {} }] },
    { reply: 'You said: {{prompt}}' },
  ],
}
const OPTIONS = { script: SCRIPT, tools: { Look: async () => 'it is red' } }

let runner: ScriptedRunner
const directory = mkdtempSync(join(tmpdir(), 'agui-edited-test-'))
beforeAll(async () => {
  runner = await openScriptedRunner(OPTIONS, {}, { directory })
})
afterAll(async () => {
  await runner.close()
  rmSync(directory, { recursive: true, force: true })
})

/** Returns the messages that a real client holds after these prompts. */
async function talk(threadId: string, ...prompts: string[]): Promise<Message[]> {
  const client = new HttpAgent({ url: runner.url, threadId })
  for (const content of prompts) {
    client.addMessage({ id: crypto.randomUUID(), role: 'user', content })
    await client.runAgent()
  }
  return client.messages
}

/** Returns what a run with this history and a new message says that it skipped. */
async function skipped(threadId: string, history: readonly unknown[]): Promise<string[]> {
  const messages = [...history, userMessage('and now?')]
  const all = await run(runner.url, { ...runInput(threadId), messages })
  expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  return all.flatMap(({ name, value }) => (name === 'agui-runner.content_skipped' ? value.parts : []))
}

/** Returns the history with one message changed: the last of this role, with a text. */
function edited(history: readonly Message[], role: string, content: string): [Message[], string] {
  const index = history.findLastIndex((message) => message.role === role && message.content !== undefined)
  const id = history[index]?.id ?? ''
  return [
    history.map((message) => (message.id === id ? Object.assign({}, message, { content }) : message)),
    id,
  ]
}

test('a history as it was streamed says nothing, also with blank ends trimmed', async () => {
  const history = await talk('as it was', 'look', 'hello')
  expect(history.map(({ role }) => role)).toContain('tool')
  expect(await skipped('as it was', history)).toEqual([])
  const trimmed = history.map((message) =>
    message.role === 'assistant' ? { ...message, content: message.content?.trim() } : message,
  )
  expect(await skipped('as it was', trimmed)).toEqual([])
})

test.each([
  ['answer', 'assistant', 'I said nothing of that kind'],
  ['answer', 'assistant', ''],
  ['result', 'tool', 'it is blue'],
])('an edited %s is named (%s: %j)', async (what, role, content) => {
  const threadId = `edited ${role} ${content}`
  const [history, id] = edited(await talk(threadId, 'look', 'hello'), role, content)
  expect(await skipped(threadId, history)).toEqual([`an edit of the ${what} "${id}", which stays as it was`])
})

test('an edit is found after a restart too', async () => {
  const [history, id] = edited(await talk('lasting', 'look'), 'assistant', 'nothing')
  await runner.close()
  runner = await openScriptedRunner(OPTIONS, {}, { directory })
  const named = [`an edit of the answer "${id}", which stays as it was`]
  expect(await skipped('lasting', history)).toEqual(named)
})

test('an edited result of the client’s own tool is named', async () => {
  const asked = runInput('own tool', 'ask')
  const tools = [{ name: 'page', description: '', parameters: { type: 'object' } }]
  const all = await run(runner.url, { ...asked, tools })
  const toolCallId = String(all.find(({ type }) => type === 'TOOL_CALL_START')?.['toolCallId'])
  const call = { id: toolCallId, type: 'function', function: { name: 'page', arguments: '{}' } }
  const result = { id: 'mine', role: 'tool', toolCallId, content: 'yes' }
  const caller = { id: 'caller', role: 'assistant', toolCalls: [call] }
  const history = [...asked.messages, caller, result]
  await run(runner.url, { ...runInput('own tool'), messages: history, tools })
  expect(await skipped('own tool', history)).toEqual([])
  expect(await skipped('own tool', [...asked.messages, caller, { ...result, content: 'no' }])).toEqual([
    'an edit of the result "mine", which stays as it was',
  ])
})

test('another order is named, and an edited message of the person is refused', async () => {
  const history = await talk('order', 'one', 'two')
  const [one, , two] = history
  const others = history.filter((message) => message !== one && message !== two)
  expect(await skipped('order', [two, ...others, one])).toEqual([
    `the place of message "${one?.id}", which came before "${two?.id}"`,
  ])
  const [lying] = edited(history, 'user', 'three')
  const refused = await post(runner.url, {
    ...runInput('order'),
    messages: [...lying, userMessage('and now?')],
  })
  expect(refused.status).toBe(409)
})

test('an answer that a client has begun for the model is named', async () => {
  const history = await talk('begun', 'one')
  const all = await run(runner.url, {
    ...runInput('begun'),
    messages: [...history, userMessage('two'), { id: 'mine', role: 'assistant', content: 'Sure, I will' }],
  })
  expect(all.find(({ name }) => name === 'agui-runner.content_skipped')?.['value']).toEqual({
    parts: ['the answer "mine", which is none of this thread\'s'],
  })
})
