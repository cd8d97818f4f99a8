// The client as an agent of AG-UI's own client, and what of it is not like HttpAgent.
import { RunnerAgent } from '@agui-runner/client/agent'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { deferred } from '../support/deferred.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'
import { startCuttingProxy } from './cutting-proxy.ts'

const SCRIPT: Script = {
  rules: [
    { when: { prompt: 'gated' }, reply: [{ text: 'before' }, { gate: 'gate' }, { text: ' after' }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { when: { prompt: 'talk' }, reply: [{ deltas: { count: 100, perSecond: 400, text: 'ä{{n}} ' } }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner({ script: SCRIPT })
})
afterAll(() => runner.close())

const agentOf = (threadId: string, url = runner.url): RunnerAgent =>
  new RunnerAgent({ runner: { url }, threadId })
const say = (agent: RunnerAgent, content: string): void =>
  agent.addMessage({ id: `said-${agent.messages.length}-${content}`, role: 'user', content })
const textsOf = ({ messages }: RunnerAgent): unknown[] => messages.map(({ content }) => content)

test('runs, and another page’s connectAgent() brings the messages', async () => {
  const agent = agentOf('talked')
  say(agent, 'hello')
  await agent.runAgent()
  say(agent, 'again')
  await agent.clone().runAgent()
  const page = agentOf('talked')
  await page.connectAgent()
  expect(textsOf(page)).toEqual(['hello', 'You said: hello', 'again', 'You said: again'])
})

test('connectAgent() shows a run under way to its end', async () => {
  const agent = agentOf('under-way')
  say(agent, 'gated')
  const begun = deferred()
  const running = agent.runAgent(undefined, { onTextMessageContentEvent: () => begun.resolve() })
  await begun.promise
  const page = agentOf('under-way')
  const connected = page.connectAgent(undefined, {
    onMessagesSnapshotEvent: () => runner.agent.openGate('gate'),
  })
  await Promise.all([running, connected])
  expect(textsOf(page)).toEqual(['gated', 'before after'])
  expect(textsOf(agent)).toEqual(textsOf(page))
})

test('abortRun() stops the run itself, and the thread takes the next message', async () => {
  const agent = agentOf('aborted')
  say(agent, 'hang')
  const ends: unknown[] = []
  await agent.runAgent(undefined, {
    onTextMessageContentEvent: () => agent.abortRun(),
    onRunFinishedEvent: ({ event }) => void ends.push(event.outcome?.type),
  })
  expect(ends).toEqual(['cancelled'])
  say(agent, 'hello')
  await agent.runAgent()
  expect(textsOf(agent).at(-1)).toBe('You said: hello')
})

test('a run is read over a network that cuts', async () => {
  const seed = Number(process.env['AGUI_SEED'] ?? Date.now() % 1_000_000)
  const proxy = await startCuttingProxy({ target: runner.url, seed, cutsMax: 3 })
  try {
    const agent = agentOf('cut', proxy.url)
    say(agent, 'talk')
    await agent.runAgent()
    const words = Array.from({ length: 100 }, (_, n) => `ä${n}`)
    expect(String(textsOf(agent).at(-1)).trim().split(' '), `AGUI_SEED=${seed}`).toHaveLength(words.length)
  } finally {
    await proxy.close()
  }
})

test('a refusal rejects the run, by its code', async () => {
  await expect(agentOf('refused').runAgent()).rejects.toMatchObject({ code: 'invalid_input', status: 400 })
})
