// What was accepted is kept: whatever ends the run, the runner or its Claude Code, a message is told as taken in or runs.
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, type ClientEvent, frames, post, runInput, textOf } from '../support/client.ts'
import { claudeOf } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { oneOrAll } from '../support/signals.ts'

const MIB = 1024 * 1024
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'work until (\\S+)', round: 0 },
      reply: [
        {
          tool: 'Bash',
          input: { command: 'while [ ! -e {{1}} ]; do sleep 0.05; done; echo worked', description: 'work' },
        },
      ],
    },
    { when: { prompt: 'work until', round: 1 }, reply: [{ text: 'Noted.' }, { hang: true }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
afterEach(() => bench.close())

const ends = ({ type }: ClientEvent): boolean => type === 'RUN_FINISHED' || type === 'RUN_ERROR'
const say = async ({ url }: { url: string }, content: unknown, delivery = 'queue') =>
  await post(`${url}/sessions/t/messages`, { content, delivery })

/** Events of the thread from its beginning until one for which `test` holds. */
async function recorded({ url }: { url: string }, isLast: (event: ClientEvent) => boolean) {
  const all: ClientEvent[] = []
  for await (const { event } of frames(await fetch(`${url}/sessions/t/events?wait=true`))) {
    all.push(event)
    if (isLast(event)) return all
  }
  throw new Error(`the stream ended: ${JSON.stringify(all)}`)
}

function untilRuns(runs: number): (event: ClientEvent) => boolean {
  let ended = 0
  return (event) => {
    if (ends(event)) ended += 1
    return ended === runs
  }
}

const named = (all: readonly ClientEvent[], name: string): ClientEvent[] =>
  all.filter((event) => event['name'] === `agui-runner.${name}`)

/** A run whose turn waits in a tool, with a message steered into it. */
async function steered(words: unknown) {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start()
  const running = runInput('t', 'work until go')
  await post(runner.url, running)
  await recorded(runner, ({ type }) => type === 'TOOL_CALL_END')
  const { messageId, delivery } = await bodyOf(await say(runner, words, 'steer'))
  expect(delivery).toBe('steer')
  return { runner, messageId, runId: running.runId }
}

/** The second run is the message's own, and the end of the first one says so. */
function expectOwnRun(all: readonly ClientEvent[], messageId: string, words: string): void {
  const [queued] = named(all, 'message_queued')
  expect(queued?.['value']).toEqual({ messageId, runId: expect.any(String) })
  const [first = -1, second = -1] = all.flatMap((event, index) =>
    event.type === 'RUN_STARTED' ? [index] : [],
  )
  expect(all.indexOf(queued ?? { type: '' })).toBeLessThan(second)
  expect(first).toBe(0)
  expect(all[second]).toMatchObject({
    runId: queued?.['value'].runId,
    input: { messages: [{ id: messageId, content: words }] },
  })
  expect(textOf(all.slice(second))).toBe(`You said: ${words}`)
}

test('a steered message with its picture is pending in the stream at once, for every reader', async () => {
  const picture = { type: 'image', source: { type: 'data', mimeType: 'image/png', value: 'iVBORw0KGgo=' } }
  const { runner, messageId, runId } = await steered([{ type: 'text', text: 'turn left' }, picture])
  const all = await recorded(runner, ({ name }) => name === 'agui-runner.message_pending')
  expect(all.at(-1)?.['value']).toEqual({ messageId, content: 'turn left', parts: [picture] })
  const description = await bodyOf(await fetch(`${runner.url}/sessions/t`))
  expect(description).toMatchObject({ runId, queue: [{ messageIds: [messageId] }] })
})

test.each(oneOrAll(['SIGKILL', 'SIGTERM'] as const))(
  'a steered message that a runner which got %s had not taken in is a run of its own after the restart',
  async (signal) => {
    const { runner, messageId } = await steered('turn left')
    await runner.stop(signal)
    const again = await bench.start()
    const all = await recorded(again, untilRuns(2))
    expectOwnRun(all, messageId, 'turn left')
    const cut = all.filter(ends)[0]
    if (signal === 'SIGKILL') expect(cut).toMatchObject({ type: 'RUN_ERROR', code: 'runner_restarted' })
    else expect(cut).toMatchObject({ outcome: { type: 'cancelled' } })
    expect((await bodyOf(await fetch(`${again.url}/sessions/t`)))['queue']).toEqual([])
  },
)

test('a steered message whose Claude Code dies is a run of its own at once', async () => {
  const { runner, messageId } = await steered('turn left')
  for (const pid of claudeOf(bench)) process.kill(pid, 'SIGKILL')
  const all = await recorded(runner, untilRuns(2))
  expect(all.filter(ends)[0]).toMatchObject({ type: 'RUN_ERROR', code: 'claude_exited' })
  expectOwnRun(all, messageId, 'turn left')
})

test('a steered message that was taken in before the runner was killed does not run again', async () => {
  const { runner, messageId } = await steered('turn left')
  writeFileSync(join(bench.workspace, 'go'), '')
  await recorded(runner, ({ type, delta }) => type === 'TEXT_MESSAGE_CONTENT' && delta === 'turn left')
  await runner.stop('SIGKILL')
  const again = await bench.start()
  const description = await bodyOf(await fetch(`${again.url}/sessions/t`))
  expect(description).toMatchObject({ state: 'failed', queue: [] })
  const all = await recorded(again, untilRuns(1))
  expect(all.filter((event) => event['messageId'] === messageId)).toHaveLength(3)
  expect(named(all, 'message_queued')).toEqual([])
})

test('a queue above QUEUE_BYTES_MAX is refused with the limit named; what was accepted runs', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.open({ QUEUE_BYTES_MAX: '10000' })
  await post(runner.url, runInput('t', 'hang on'))
  expect((await say(runner, 'a'.repeat(6000))).status).toBe(202)
  for (const delivery of ['queue', 'steer']) {
    const refused = await say(runner, 'b'.repeat(6000), delivery)
    expect([refused.status, await refused.json()]).toMatchObject([
      429,
      { error: { code: 'queue_full', message: expect.stringContaining('QUEUE_BYTES_MAX (10000)') } },
    ])
  }
  expect((await say(runner, 'small')).status).toBe(202)
  await post(`${runner.url}/sessions/t/interrupt`, {})
  const all = await recorded(runner, untilRuns(3))
  const told = all.flatMap(({ input }) => input?.messages ?? []).map(({ content }) => content.length)
  expect(told).toEqual(['hang on'.length, 6000, 'small'.length])
})

test('each queued message is written once: the store grows by what was sent', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start()
  await post(runner.url, runInput('t', 'hang on'))
  const count = 12
  for (let index = 0; index < count; index++) {
    expect((await say(runner, String(index).repeat(2 * MIB))).status).toBe(202)
  }
  const sent =
    2 * MIB * Array.from({ length: count }, (_, index) => String(index).length).reduce((a, b) => a + b)
  expect(statSync(join(bench.state, 'store/log.mdb')).size).toBeLessThan(1.5 * sent)
  await runner.stop('SIGKILL')
  const again = await bench.start()
  const { queue, runId } = await bodyOf(await fetch(`${again.url}/sessions/t`))
  // The first of them may run already.
  expect(queue.length + (runId === undefined ? 0 : 1)).toBe(count)
})
