// Regenerate and edit with the real Claude Code: what the model is given then is what the page shows.
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import {
  type ClientEvent,
  events,
  frames,
  post,
  run,
  runInput,
  textOf,
  userMessage,
} from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

const rules: Script['rules'] = [
  { when: { prompt: '^CRITICAL: Respond' }, reply: '<summary>QXSUMMARY</summary>' },
  { when: { prompt: 'QXHANG' }, reply: ['Wait.', { hang: true }] },
  { when: { prompt: 'print (\\S+)', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo {{1}}' } }] },
  { reply: 'heard {{prompt}}' },
]

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: { rules } })
  runner = await bench.start({ CLAUDE_SLASH_COMMANDS: 'true' })
})
afterAll(() => bench.close())

/** What the model was given last. */
const given = (): string =>
  JSON.stringify(bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)

const q1 = userMessage('QXONE', 'q1')
const q2 = userMessage('print QXTWO', 'q2')
const q3 = userMessage('QXTHREE', 'q3')

const ask = (threadId: string, messages: unknown[], more: object = {}): Promise<ClientEvent[]> =>
  run(runner.url, { ...runInput(threadId), messages, ...more })

async function talk(threadId: string): Promise<void> {
  for (const message of [q1, q2, q3]) await ask(threadId, [message])
}

/** The conversation as a page that is opened now is given it. */
async function shown(threadId: string): Promise<string> {
  const all = await events(await fetch(`${runner.url}/sessions/${threadId}/connect?follow=false`))
  return JSON.stringify(all.find(({ type }) => type === 'MESSAGES_SNAPSHOT')?.['messages'])
}

test('another answer, an edit and an edit under a new id: the model knows what the page shows', async () => {
  await talk('again')
  expect(textOf(await ask('again', [q1, q2, q3]))).toBe('heard QXTHREE')
  expect(given().match(/QXTHREE/g)).toHaveLength(1)
  expect(given()).toMatch(/QXONE.*QXTWO/)

  expect(textOf(await ask('again', [q1, userMessage('QXEDITED', 'q2')]))).toBe('heard QXEDITED')
  expect(given()).toMatch(/heard QXONE.*QXEDITED/)
  expect(given()).not.toMatch(/QXTWO|QXTHREE/)
  expect(await shown('again')).not.toMatch(/QXTWO|QXTHREE/)

  const edit = { forwardedProps: { replaces: 'q1' } }
  await ask('again', [userMessage('QXFIRST', 'new')], edit)
  expect(given()).not.toMatch(/QXONE|QXEDITED/)
  await ask('again', [userMessage('QXON', 'on')])
  expect(given()).toMatch(/heard QXFIRST.*QXON/)
  expect(await shown('again')).not.toMatch(/QXONE|QXEDITED/)
})

test('a question whose answer was stopped is asked again, and none of the stopped answer is left', async () => {
  await ask('stopped', [q1])
  const answer = await post(runner.url, {
    ...runInput('stopped'),
    messages: [q1, userMessage('QXHANG', 'h')],
  })
  for await (const { event } of frames(answer)) {
    if (event.type === 'TEXT_MESSAGE_CONTENT') await post(`${runner.url}/sessions/stopped/interrupt`, {})
  }
  expect(textOf(await ask('stopped', [q1, userMessage('QXOTHER', 'h')]))).toBe('heard QXOTHER')
  expect(given()).toMatch(/heard QXONE.*QXOTHER/)
  expect(given()).not.toMatch(/QXHANG|Wait\./)
  // What follows on a stopped turn goes back to that turn.
  await ask('stopped', [userMessage('QXLAST', 'last')])
  await ask('stopped', [q1, userMessage('QXOTHER', 'h'), userMessage('QXEND', 'last')])
  expect(given()).toMatch(/QXOTHER.*QXEND/)
  expect(given()).not.toContain('QXLAST')
})

test('a runner that is killed behind the take-back goes on from there', async () => {
  await talk('killed')
  const answer = await post(runner.url, {
    ...runInput('killed'),
    messages: [q1, userMessage('QXHANG', 'q2')],
  })
  for await (const { event } of frames(answer)) if (event.type === 'TEXT_MESSAGE_CONTENT') break
  await runner.stop('SIGKILL')
  runner = await bench.start({ CLAUDE_SLASH_COMMANDS: 'true' })
  expect(await shown('killed')).not.toMatch(/QXTWO|QXTHREE/)
  await ask('killed', [q1, userMessage('QXRETRY', 'q2')])
  expect(given()).toMatch(/heard QXONE.*QXRETRY/)
  expect(given()).not.toMatch(/QXTWO|QXTHREE/)
})

test('behind a compaction it goes back, before it not, and then nothing has changed', async () => {
  await ask('compacted', [q1])
  await ask('compacted', [userMessage('/compact', 'c')])
  await ask('compacted', [q3])
  await ask('compacted', [q1, userMessage('/compact', 'c'), userMessage('QXEDITED', 'q3')])
  expect(given()).toMatch(/QXSUMMARY.*QXEDITED/)
  expect(given()).not.toContain('QXTHREE')
  const refused = await post(runner.url, {
    ...runInput('compacted'),
    messages: [q1, userMessage('again', 'c')],
  })
  expect([refused.status, await refused.json()]).toMatchObject([
    409,
    { error: { code: 'regenerate_unsupported', message: expect.stringContaining('compacted') } },
  ])
  await ask('compacted', [userMessage('QXON', 'on')])
  expect(given()).toMatch(/QXSUMMARY.*QXEDITED.*QXON/)
})
