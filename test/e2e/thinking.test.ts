import { afterAll, beforeAll, expect, test } from 'vitest'
import { run, runInput } from '../support/client.ts'
import { type Bench, openBench, type RunnerProcess } from '../support/runner.ts'

let bench: Bench
let runner: RunnerProcess

beforeAll(async () => {
  bench = await openBench({ script: { rules: [{ reply: 'seen' }] } })
  runner = await bench.start()
})
afterAll(() => bench.close())

/** What the request to the model says of thinking. */
const thinking = async (threadId: string, claude: object): Promise<unknown> => {
  await run(runner.url, { ...runInput(threadId, 'hello'), forwardedProps: { claude } })
  const body: unknown = bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body
  return typeof body === 'object' && body !== null ? (Reflect.get(body, 'thinking') ?? 'none') : undefined
}

test.each(['claude-opus-5-5', 'claude-opus-4-6', 'claude-sonnet-4-5'])(
  '%s does not think with a budget of 0, and then does again',
  async (model) => {
    expect(await thinking(model, { model, maxThinkingTokens: 0 })).toSatisfy(
      (said: unknown) => said === 'none' || JSON.stringify(said) === '{"type":"disabled"}',
    )
    expect(await thinking(model, { model })).toMatchObject({
      type: /opus/.test(model) ? 'adaptive' : 'enabled',
    })
  },
)
