import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { type ClientEvent, post, run, runInput, textOf } from '../support/client.ts'
import { type Bench, type OpenRunner, openBench } from '../support/runner.ts'
import { VOLUME } from '../support/volume.ts'

const tool = { name: 'colour', description: 'Asks for a colour.', parameters: { type: 'object' } }

let bench: Bench
let runner: OpenRunner

beforeAll(async () => {
  bench = await openBench({
    script: {
      rules: [
        { when: { prompt: 'echo', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo 1' } }] },
        { reply: 'seen' },
      ],
    },
  })
  runner = await bench.open()
})
afterAll(() => bench.close())

const body = (): Record<string, unknown> =>
  Object(bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)
const ask = (threadId: string, claude: object, words = 'hello'): Promise<ClientEvent[]> =>
  run(runner.url, { ...runInput(threadId, words), forwardedProps: { claude } })
/** What the request to the model says of thinking. */
const thinking = async (threadId: string, claude: object): Promise<unknown> => {
  await ask(threadId, claude)
  return body()['thinking'] ?? { type: 'none' }
}

/** Each asks two processes of Claude Code: of both kinds one or two by default, all with AGUI_VOLUME=5. */
const some = <T>(all: readonly T[], count: number): readonly T[] => (VOLUME < 5 ? all.slice(0, count) : all)

describe('a budget of thinking', () => {
  test.each(some(['claude-opus-5-5', 'claude-sonnet-4-5', 'claude-opus-4-6'], 2))(
    '%s does not think with a budget of 0, and then does again',
    async (model) => {
      expect(await thinking(model, { model, maxThinkingTokens: 0 })).toMatchObject({ type: /none|disabled/ })
      expect(await thinking(model, { model })).toMatchObject({
        type: /opus/.test(model) ? 'adaptive' : 'enabled',
      })
    },
  )

  test.each(
    some(
      ['us.anthropic.claude-sonnet-4-20250514-v1:0', 'claude-sonnet-4-6', 'anthropic/claude-haiku-4.5'],
      1,
    ),
  )('%s is given a budget, and the next run has none', async (model) => {
    const budget = { type: 'enabled', budget_tokens: 4000 }
    expect(await thinking(model, { model, maxThinkingTokens: 4000 })).toEqual(budget)
    expect(await thinking(model, { model })).not.toEqual(budget)
  })

  test.each([
    [{ model: 'claude-opus-5-5', maxThinkingTokens: 4000 }, 'claude-opus-5-5 decides by itself'],
    [{ model: 'claude-opus-4-7', maxThinkingTokens: 4000 }, 'claude-opus-4-7 decides by itself'],
    [{ model: 'sonnet', maxThinkingTokens: 4000 }, 'sonnet decides by itself'],
    [{ model: 'claude-opus-4-1', maxThinkingTokens: 4000 }, 'claude-opus-4-1 decides by itself'],
    [{ model: 'of-another-house', maxThinkingTokens: 4000 }, 'of-another-house decides by itself'],
    [{ maxThinkingTokens: 4000 }, "Claude Code's default model decides by itself"],
    [{ model: 'claude-3-7-sonnet-20250219', maxThinkingTokens: 4000 }, 'does not think'],
    [{ model: 'claude-sonnet-4-5', maxThinkingTokens: 1000 }, 'at least 1024'],
  ])('%j would change nothing and is refused', async (claude, words) => {
    const answer = await post(runner.url, { ...runInput('refused', 'hello'), forwardedProps: { claude } })
    const { error } = Object(await answer.json())
    expect([answer.status, error.code]).toEqual([400, 'invalid_input'])
    expect(error.message).toContain('forwardedProps.claude.maxThinkingTokens')
    expect(error.message).toContain(words)
  })
})

test.each([
  [{ model: 'claude-sonnet-4-5' }, '"model":"claude-sonnet-4-5"'],
  [{ permissionMode: 'plan' }, 'Plan mode is active'],
  [{ outputSchema: { type: 'object', properties: { QXKEY: {} } } }, 'QXKEY'],
])('%j is in the request to the model, and not in the next', async (claude, words) => {
  await ask(words, claude)
  expect(JSON.stringify(body())).toContain(words)
  await ask(words, {}, 'next')
  expect(JSON.stringify({ ...body(), messages: [] })).not.toContain(`"name":"StructuredOutput"`)
  expect(body()['model']).not.toBe('claude-sonnet-4-5')
})

test.each([{ maxTurns: 1 }, { maxCostUsd: 0.000001 }])('%j ends the run', async (claude) => {
  const all = await ask(JSON.stringify(claude), claude, 'echo')
  expect(all.map(({ name }) => name)).toContain('agui-runner.limit_reached')
})

test('a run that goes on with a turn may repeat its switches, and is refused others', async () => {
  const claude = { model: 'claude-sonnet-4-5', maxTurns: 9 }
  await run(runner.url, { ...runInput('offered', 'hello'), tools: [tool] })
  const name = /mcp__ui_[0-9a-f]+__colour/.exec(JSON.stringify(body()))?.[0] ?? ''
  bench.gateway.use({
    rules: [{ when: { prompt: 'ask', round: 0 }, reply: [{ tool: name, input: {} }] }, { reply: 'seen' }],
  })
  const input = { ...runInput('parked', 'ask'), tools: [tool], forwardedProps: { claude } }
  const ended = (await run(runner.url, input)).at(-1)
  const [toolCallId] = Object(ended)['outcome'].pendingToolCallIds
  const result = { id: 'r', role: 'tool', toolCallId, content: 'red' }
  const goOn = (given: object) => ({
    ...runInput('parked'),
    messages: [...input.messages, result],
    tools: [tool],
    forwardedProps: { claude: given },
  })
  const refused = await post(runner.url, goOn({ ...claude, maxTurns: 3 }))
  expect([refused.status, await refused.json()]).toMatchObject([
    400,
    { error: { message: /claude\.maxTurns/ } },
  ])
  expect(textOf(await run(runner.url, goOn(claude)))).toBe('seen')
  expect(body()['model']).toBe('claude-sonnet-4-5')
})

test('SDK_OPTIONS hold for each run that says nothing else', async () => {
  const options = {
    model: 'claude-opus-4-6',
    effort: 'low',
    maxThinkingTokens: 5000,
    maxTurns: 1,
    allowedTools: ['Read'],
    disallowedTools: ['Write'],
    appendSystemPrompt: 'QXAPPENDED',
  }
  const own = await openBench({
    script: {
      rules: [
        { when: { prompt: 'echo', round: 0 }, reply: [{ tool: 'Bash', input: { command: 'echo 1' } }] },
        { reply: 'seen' },
      ],
    },
  })
  try {
    const there = await own.open({ SDK_OPTIONS: JSON.stringify(options) })
    const last = () => Object(own.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)
    await run(there.url, runInput('a', 'hello'))
    expect(last()).toMatchObject({
      model: 'claude-opus-4-6',
      thinking: { type: 'enabled', budget_tokens: 5000 },
      output_config: { effort: 'low' },
    })
    expect(JSON.stringify(last().system)).toContain('QXAPPENDED')
    expect(JSON.stringify(last())).not.toContain('"name":"Write"')
    await run(there.url, {
      ...runInput('a', 'other'),
      forwardedProps: { claude: { model: 'claude-sonnet-4-5' } },
    })
    expect(last().model).toBe('claude-sonnet-4-5')
    await run(there.url, runInput('a', 'again'))
    expect(last().model).toBe('claude-opus-4-6')
    expect((await run(there.url, runInput('b', 'echo'))).map(({ name }) => name)).toContain(
      'agui-runner.limit_reached',
    )
  } finally {
    await own.close()
  }
})

test.each([
  [{ maxThinkingTokens: 5000 }, 'maxThinkingTokens: a budget has no effect'],
  [{ model: 'claude-sonnet-4-5', effort: 'low' }, 'claude-sonnet-4-5 has none'],
])('SDK_OPTIONS %j would change nothing, so nothing starts', async (options, words) => {
  const started = bench.spawn({
    SDK_OPTIONS: JSON.stringify(options),
    RUNNER_STATE_DIR: `${bench.state}-refused`,
  })
  expect(await started.exited).toBe(2)
  expect(started.stderr()).toContain(words)
})
