import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { messagesOf } from '../support/agui-replay.ts'
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
import { type Bench, openBench } from '../support/runner.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'work until (\\S+)', round: 0 },
      reply: [
        { text: 'Working.' },
        {
          tool: 'Bash',
          input: { command: 'while [ ! -e {{1}} ]; do sleep 0.05; done; echo worked', description: 'work' },
        },
      ],
    },
    { when: { prompt: 'work until', round: 1, note: 'turn (left|right)' }, reply: 'I turn {{note.1}}.' },
    { when: { prompt: 'work until', round: 1 }, reply: 'Straight on.' },
    { when: { prompt: 'gated (\\S+)' }, reply: [{ text: 'before' }, { gate: '{{1}}' }, { text: ' after' }] },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { reply: 'You said: {{prompt}}' },
  ],
}

let bench: Bench
let runner: { url: string }

beforeAll(async () => {
  bench = await openBench({ script: SCRIPT })
  runner = await bench.open()
})
afterAll(() => bench.close())

const ends = ({ type }: ClientEvent): boolean => type === 'RUN_FINISHED' || type === 'RUN_ERROR'
const session = (threadId: string, path = ''): string => `${runner.url}/sessions/${threadId}${path}`
const say = (threadId: string, content: unknown, delivery?: string): Promise<Response> =>
  post(session(threadId, '/messages'), { content, ...(delivery === undefined ? {} : { delivery }) })

/** A run under way: its events so far, and the rest of them. */
async function start(threadId: string, prompt: string, until: string) {
  const input = runInput(threadId, prompt)
  const reader = frames(await post(runner.url, input))
  const seen: ClientEvent[] = []
  for (;;) {
    const { value, done } = await reader.next()
    if (done === true) throw new Error(`the run ended without ${until}: ${JSON.stringify(seen)}`)
    seen.push(value.event)
    if (value.event.type === until) break
  }
  return {
    input,
    async end(): Promise<ClientEvent[]> {
      for await (const { event } of reader) seen.push(event)
      return seen
    },
  }
}

async function recorded(threadId: string, runs: number): Promise<ClientEvent[]> {
  const all: ClientEvent[] = []
  for await (const { event } of frames(await fetch(session(threadId, '/events')))) {
    all.push(event)
    if (all.filter(ends).length === runs) break
  }
  return all
}

function runsOf(all: readonly ClientEvent[]): ClientEvent[][] {
  return all.reduce<ClientEvent[][]>((runs, event) => {
    if (event.type === 'RUN_STARTED') runs.push([])
    runs.at(-1)?.push(event)
    return runs
  }, [])
}

describe('a message that steers', () => {
  test('is seen by the running turn after its tool, and shows in the stream when it is taken in', async () => {
    const threadId = 'steer'
    const running = await start(threadId, 'work until go-1', 'TOOL_CALL_END')
    const answer = await say(threadId, 'turn left', 'steer')
    const accepted = await answer.json()
    expect([answer.status, accepted]).toEqual([
      202,
      { messageId: expect.any(String), delivery: 'steer', runId: running.input.runId },
    ])
    writeFileSync(join(bench.workspace, 'go-1'), '')
    const all = await running.end()
    const { messageId } = Object(accepted)
    const taken = all.findIndex(
      (event) => event.type === 'TEXT_MESSAGE_START' && event['messageId'] === messageId,
    )
    expect(all.slice(taken, taken + 3)).toMatchObject([
      { type: 'TEXT_MESSAGE_START', messageId, role: 'user' },
      { type: 'TEXT_MESSAGE_CONTENT', messageId, delta: 'turn left' },
      { type: 'TEXT_MESSAGE_END', messageId },
    ])
    expect(taken).toBeGreaterThan(all.findIndex(({ type }) => type === 'TOOL_CALL_END'))
    expect(textOf(all)).toContain('I turn left.')
    expect(all.filter(ends)).toMatchObject([{ type: 'RUN_FINISHED', outcome: { type: 'success' } }])
    const messages = await messagesOf(all, threadId)
    expect(messages.map(({ role }) => role)).toEqual(['user', 'assistant', 'tool', 'user', 'assistant'])
  })

  test('is remembered: a client that sends the whole history does not say it twice', async () => {
    const threadId = 'steer-history'
    const running = await start(threadId, 'work until go-2', 'TOOL_CALL_END')
    await say(threadId, 'turn right', 'steer')
    writeFileSync(join(bench.workspace, 'go-2'), '')
    const messages = await messagesOf(await running.end(), threadId)
    const next = {
      threadId,
      runId: crypto.randomUUID(),
      protocolVersion: '1.0',
      messages: [...messages, ...runInput('x', 'and now?').messages],
    }
    const [started] = await run(runner.url, next)
    expect(started?.['input'].messages).toEqual([next.messages.at(-1)])
  })

  test('during a text is answered in the same run', async () => {
    const threadId = 'steer'
    const running = await start(threadId, 'gated text', 'TEXT_MESSAGE_CONTENT')
    const accepted = Object(await (await say(threadId, 'and this?', 'steer')).json())
    expect(accepted.delivery).toBe('steer')
    bench.gateway.open('text')
    const all = await running.end()
    expect(textOf(all)).toBe('before afterand this?You said: and this?')
    expect(all.filter(ends)).toMatchObject([{ type: 'RUN_FINISHED', outcome: { type: 'success' } }])
    expect(all.filter((event) => event['messageId'] === accepted.messageId)).toHaveLength(3)
    await messagesOf(all, threadId)
    // And the thread is free for the next.
    expect(textOf(await run(runner.url, runInput(threadId, 'next')))).toBe('You said: next')
  })

  test('brings its documents: a text with it, a PDF as a run of its own, for Claude Code drops both', async () => {
    const threadId = 'steer'
    const attach = (mimeType: string, words: string) => [
      { type: 'text', text: 'read' },
      { type: 'document', source: { type: 'data', mimeType, value: Buffer.from(words).toString('base64') } },
    ]
    const asked = (): string =>
      JSON.stringify(bench.gateway.requests.filter(({ route }) => route === 'inference').at(-1)?.body)
    const running = await start(threadId, 'work until go-doc', 'TOOL_CALL_END')
    const sent = [attach('text/csv', 'CSVWORDS'), attach('application/pdf', '%PDF-1.1 %%EOF')]
    const delivered: unknown[] = []
    for (const content of sent)
      delivered.push(Object(await (await say(threadId, content, 'steer')).json()).delivery)
    expect(delivered).toEqual(['steer', 'queue'])
    writeFileSync(join(bench.workspace, 'go-doc'), '')
    await running.end()
    await bench.gateway.waitForRequest(
      ({ body }) => JSON.stringify(body)?.includes('application/pdf') === true,
      AbortSignal.timeout(60_000),
    )
    expect(asked()).toContain('CSVWORDS')
    // The thread is free once the queued run has ended.
    await run(runner.url, { ...runInput(threadId, 'next'), forwardedProps: { delivery: 'queue' } })
  })

  test('several during one tool are all taken in, in order', async () => {
    const threadId = 'steer'
    const running = await start(threadId, 'work until go-3', 'TOOL_CALL_END')
    const ids: string[] = []
    for (const words of ['one', 'two', 'turn left']) {
      ids.push(Object(await (await say(threadId, words, 'steer')).json()).messageId)
    }
    writeFileSync(join(bench.workspace, 'go-3'), '')
    const all = await running.end()
    const taken = all.filter((event) => event.type === 'TEXT_MESSAGE_START' && event['role'] === 'user')
    expect(taken.map((event) => event['messageId'])).toEqual(ids)
    expect(all.filter(ends)).toHaveLength(1)
  })

  test('that an interrupt overtakes is a run of its own, and the stream says so', async () => {
    const threadId = 'steer-overtaken'
    const running = await start(threadId, 'work until never', 'TOOL_CALL_END')
    const { messageId } = Object(await (await say(threadId, 'turn left', 'steer')).json())
    await post(session(threadId, '/interrupt'), {})
    const all = await running.end()
    expect(all.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
    const [queued] = all.filter((event) => event['name'] === 'agui-runner.message_queued')
    expect(queued).toMatchObject({ value: { messageId, runId: expect.any(String) } })
    const [, own] = runsOf(await recorded(threadId, 2))
    expect(own?.[0]).toMatchObject({
      runId: queued?.['value'].runId,
      input: { messages: [{ id: messageId, content: 'turn left' }] },
    })
    expect(textOf(own ?? [])).toBe('You said: turn left')
  })

  test('when nothing runs is a run of its own', async () => {
    const accepted = Object(await (await say('steer-idle', 'hello', 'steer')).json())
    expect(accepted.delivery).toBe('run')
    const all = await recorded('steer-idle', 1)
    expect(all[0]).toMatchObject({
      type: 'RUN_STARTED',
      runId: accepted.runId,
      input: { messages: [{ id: accepted.messageId, content: 'hello' }] },
    })
    expect(textOf(all)).toBe('You said: hello')
  })
})

/** The queue is the server's: what the agent is does not matter to it. */
describe('a message that is queued', () => {
  let claude: { url: string }
  let scripted: ScriptedRunner
  beforeAll(async () => {
    scripted = await openScriptedRunner({ script: SCRIPT }, { QUEUE_MAX: '3' })
    ;[claude, runner] = [runner, scripted]
  })
  afterAll(async () => {
    runner = claude
    await scripted.close()
  })

  test('runs afterwards as its own run, which names it', async () => {
    const threadId = 'queue'
    const running = await start(threadId, 'gated queue', 'TEXT_MESSAGE_CONTENT')
    const accepted = Object(await (await say(threadId, 'me next', 'queue')).json())
    expect(accepted).toMatchObject({
      delivery: 'queue',
      messageId: expect.any(String),
      runId: expect.any(String),
    })
    expect(await (await fetch(session(threadId))).json()).toMatchObject({
      state: 'running',
      queue: [{ runId: accepted.runId, messageIds: [accepted.messageId] }],
    })
    scripted.agent.openGate('queue')
    expect(textOf(await running.end())).toBe('before after')
    const [, second] = runsOf(await recorded(threadId, 2))
    expect(second?.[0]).toMatchObject({
      runId: accepted.runId,
      input: { messages: [{ id: accepted.messageId, role: 'user', content: 'me next' }] },
    })
    expect(textOf(second ?? [])).toBe('You said: me next')
  })

  test('by a run input answers with the events of that run only', async () => {
    const threadId = 'steer'
    const running = await start(threadId, 'gated post', 'TEXT_MESSAGE_CONTENT')
    const input = { ...runInput(threadId, 'patient'), forwardedProps: { delivery: 'queue' } }
    const answer = events(await post(runner.url, input))
    scripted.agent.openGate('post')
    await running.end()
    const all = await answer
    expect(all[0]).toMatchObject({ type: 'RUN_STARTED', runId: input.runId })
    expect(textOf(all)).toBe('You said: patient')
    expect(all.filter(ends)).toHaveLength(1)
  })

  test('stays when the running turn is interrupted; the next follows at once', async () => {
    const threadId = 'queue-interrupt'
    const running = await start(threadId, 'hang on', 'TEXT_MESSAGE_CONTENT')
    await say(threadId, 'still here', 'queue')
    await post(session(threadId, '/interrupt'), {})
    expect((await running.end()).at(-1)).toMatchObject({ outcome: { type: 'cancelled' } })
    const [, second] = runsOf(await recorded(threadId, 2))
    expect(textOf(second ?? [])).toBe('You said: still here')
  })

  test('is refused above QUEUE_MAX', async () => {
    const threadId = 'queue-full'
    const running = await start(threadId, 'gated full', 'TEXT_MESSAGE_CONTENT')
    for (const words of ['one', 'two', 'three']) expect((await say(threadId, words)).status).toBe(202)
    for (const delivery of ['queue', 'steer']) {
      const fourth = await say(threadId, 'four', delivery)
      expect([fourth.status, await fourth.json()]).toMatchObject([429, { error: { code: 'queue_full' } }])
    }
    const byRun = await post(runner.url, {
      ...runInput(threadId, 'four'),
      forwardedProps: { delivery: 'queue' },
    })
    expect(byRun.status).toBe(429)
    scripted.agent.openGate('full')
    await running.end()
    expect(runsOf(await recorded(threadId, 4)).map(textOf)).toEqual([
      'before after',
      'You said: one',
      'You said: two',
      'You said: three',
    ])
  })

  test.each([[undefined], [7], [[{ type: 'text' }]]])('with content %j is refused', async (content) => {
    expect((await say('queue-bad', content)).status).toBe(400)
  })
})

test('forwardedProps.delivery "steer" puts the message into the running turn, and that run is over at once', async () => {
  const stop = join(bench.directory, 'posted-steer')
  const run1 = await start('posted-steer', `work until ${stop}`, 'TOOL_CALL_END')
  const tool = { name: 'late_tool', description: '', parameters: { type: 'object' } }
  const steering = {
    ...runInput('posted-steer', 'turn left'),
    tools: [tool],
    context: [{ description: 'page', value: 'qxbasket' }],
    state: { count: 'qxthree' },
    forwardedProps: { delivery: 'steer' },
  }
  const switched = { delivery: 'steer', claude: { model: 'claude-haiku-4-5' } }
  const refused = await post(runner.url, {
    ...runInput('posted-steer', 'turn right'),
    forwardedProps: switched,
  })
  expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining('claude.model')])
  steering.messages[0] = { ...userMessage('turn left', 'no-uuid-at-all') }
  const answer = await run(runner.url, steering)
  expect(answer.map(({ type }) => type)).toEqual(['RUN_STARTED', 'CUSTOM', 'CUSTOM', 'RUN_FINISHED'])
  expect(answer[1]).toMatchObject({ name: 'agui-runner.steered', value: { intoRunId: run1.input.runId } })
  const skipped = {
    name: 'agui-runner.content_skipped',
    value: { parts: [expect.stringMatching(/late_tool/)] },
  }
  expect(answer[2]).toMatchObject(skipped)
  writeFileSync(stop, '')
  const all = await run1.end()
  expect(textOf(all)).toContain('I turn left.')
  expect(all).toContainEqual(expect.objectContaining(skipped))
  const said = JSON.stringify(bench.gateway.requests.at(-1)?.body)
  expect([said.includes('qxbasket'), said.includes('qxthree')]).toEqual([true, true])
  expect(all.filter(({ role }) => role === 'user')).toMatchObject([{ messageId: 'no-uuid-at-all:steered' }])
  expect(all.filter(ends)).toHaveLength(1)
  // The client's next history holds the message under its own id; it is not sent to Claude again.
  const history = [...run1.input.messages, ...steering.messages, userMessage('and now?')]
  const next = await run(runner.url, { ...runInput('posted-steer'), messages: history })
  expect(next[0]?.['input'].messages).toHaveLength(1)
  // Whoever read the thread holds it under the id of the stream.
  const told = userMessage('turn left', 'no-uuid-at-all:steered')
  const read = [...run1.input.messages, told, ...history.slice(-1), userMessage('and then?')]
  const last = await run(runner.url, { ...runInput('posted-steer'), messages: read })
  expect(last[0]?.['input'].messages).toHaveLength(1)
})

test('what waits outlives the runner', async () => {
  const own = await openBench({ script: SCRIPT })
  try {
    const first = await own.start()
    const reader = frames(await post(first.url, runInput('waiting', 'hang on')))
    for (;;) {
      const { value } = await reader.next()
      if (value?.event.type === 'TEXT_MESSAGE_CONTENT') break
    }
    const answer = await post(`${first.url}/sessions/waiting/messages`, { content: 'after the break' })
    const { messageId } = Object(await answer.json())
    await first.stop('SIGKILL')
    const second = await own.start()
    const all: ClientEvent[] = []
    for await (const { event } of frames(await fetch(`${second.url}/sessions/waiting/events`))) {
      all.push(event)
      if (all.filter(ends).length === 2) break
    }
    expect(runsOf(all)[0]?.at(-1)).toMatchObject({ type: 'RUN_ERROR', code: 'runner_restarted' })
    expect(runsOf(all)[1]?.[0]).toMatchObject({ input: { messages: [{ id: messageId }] } })
    expect(textOf(runsOf(all)[1] ?? [])).toBe('You said: after the break')
  } finally {
    await own.close()
  }
})
