// The client against the real server: what a program does with a thread.
import { isOwn, Refusal, type Run, Runner, type RunnerEvent } from '@agui-runner/client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { frames } from '../support/client.ts'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

const TOKEN = 'token-of-the-client-test'
const SCRIPT: Script = {
  rules: [
    {
      when: { prompt: 'make', round: 0 },
      reply: [{ tool: 'Bash', input: { command: 'touch made', description: 'make it' } }],
    },
    {
      when: { prompt: 'weather', round: 0 },
      reply: [
        { text: 'Asking.' },
        { tool: 'get_weather', input: { city: 'Ulm' } },
        { tool: 'get_time', input: {} },
      ],
    },
    { when: { prompt: 'hang' }, reply: [{ text: 'partial' }, { hang: true }] },
    { when: { result: { isError: true } }, reply: 'It failed: {{result}}' },
    { when: { result: { matches: '.*' } }, reply: 'It is {{result}}' },
    { reply: 'You said: {{prompt}}' },
  ],
}

let server: ScriptedRunner
let runner: Runner
let isMade = false
beforeAll(async () => {
  const Bash = async (): Promise<string> => {
    isMade = true
    return 'made'
  }
  const agent = { script: SCRIPT, tools: { Bash }, asks: ['Bash'] }
  server = await openScriptedRunner(agent, { AGUI_TOKEN: TOKEN })
  runner = new Runner({ url: server.url, token: TOKEN })
})
afterAll(() => server.close())

async function eventsOf(run: Run): Promise<RunnerEvent[]> {
  const events: RunnerEvent[] = []
  for await (const { event } of run) events.push(event)
  return events
}

/** Reads until that type; the run is read on by nobody. */
async function startUntil(run: Run, type: string): Promise<void> {
  for await (const { event } of run) if (event.type === type) return
  throw new Error(`the run ended without ${type}`)
}

test('a run is read to its end, and the thread can be listed, described and forgotten', async () => {
  const thread = runner.thread()
  const run = await thread.run({ content: 'hello' })
  expect(await run.text()).toBe('You said: hello')
  expect(run.end).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  const described = await thread.describe()
  expect(described).toMatchObject({ threadId: thread.threadId, state: 'idle' })
  expect((await runner.threads()).map(({ threadId }) => threadId)).toContain(thread.threadId)
  const seqs: number[] = []
  for await (const { seq } of thread.follow()) {
    seqs.push(seq)
    if (seq === described.lastSeq) break
  }
  expect(seqs).toEqual(seqs.map((_seq, index) => index + 1))
  await thread.delete()
  await expect(thread.describe()).rejects.toMatchObject({ code: 'not_found', status: 404 })
  await expect(thread.follow().next()).rejects.toBeInstanceOf(Refusal)
})

describe('client tools', () => {
  const tool = { description: 'Of the client.', parameters: { type: 'object' } }
  test('with an execute are run, all of an answer, and their results and failures are given to the run that goes on', async () => {
    const thread = runner.thread('one')
    const asked: unknown[] = []
    const tools = [
      {
        ...tool,
        name: 'get_weather',
        async execute(args: unknown) {
          asked.push(args)
          return 'sunny'
        },
      },
      {
        ...tool,
        name: 'get_time',
        async execute(): Promise<string> {
          throw new Error('no clock')
        },
      },
    ]
    const run = await thread.run({ content: 'the weather?', tools })
    const events = await eventsOf(run)
    expect(asked).toEqual([{ city: 'Ulm' }])
    expect(events.filter(({ type }) => type === 'RUN_STARTED')).toHaveLength(2)
    expect(run.end).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
    const given = JSON.stringify(events.findLast(({ type }) => type === 'RUN_STARTED'))
    expect(given).toContain('sunny')
    expect(given).toContain('no clock')
  })

  test('without one are left to the caller, whose results are messages of the next run', async () => {
    const thread = runner.thread('one')
    const tools = ['get_weather', 'get_time'].map((name) => ({ ...tool, name }))
    const run = await thread.run({ content: 'the weather?', tools })
    await eventsOf(run)
    const outcome = run.end?.type === 'RUN_FINISHED' ? run.end.outcome : undefined
    const pending = outcome?.type === 'success' ? (outcome.pendingToolCallIds ?? []) : []
    expect(pending).toHaveLength(2)
    const messages = pending.map((toolCallId) => ({
      id: `result-${toolCallId}`,
      role: 'tool' as const,
      toolCallId,
      content: 'fine',
    }))
    expect(await (await thread.run({ messages, tools })).text()).toContain('It is fine')
  })
})

test('an interrupt ends the run, and its answer goes on', async () => {
  const thread = runner.thread('one')
  const run = await thread.run({ content: 'make it' })
  await eventsOf(run)
  const outcome = run.end?.type === 'RUN_FINISHED' ? run.end.outcome : undefined
  const interrupts = outcome?.type === 'interrupt' ? outcome.interrupts : []
  expect(interrupts).toHaveLength(1)
  await expect(thread.run({ content: 'never mind' })).rejects.toMatchObject({ code: 'interrupt_open' })
  const entries = interrupts.map(({ id }) => ({
    interruptId: id,
    status: 'resolved' as const,
    payload: { approved: true },
  }))
  const answered = await thread.answer(entries)
  await eventsOf(answered)
  expect(answered.end).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'success' } })
  expect(isMade).toBe(true)
})

test('a turn is stopped, and its run ends as cancelled', async () => {
  const thread = runner.thread('one')
  const run = await thread.run({ content: 'hang' })
  const types: string[] = []
  let isStopped: boolean | undefined
  for await (const { event } of run) {
    types.push(event.type)
    if (event.type === 'TEXT_MESSAGE_CONTENT') isStopped ??= await thread.interrupt()
  }
  expect(isStopped).toBe(true)
  expect(run.end).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  expect(await thread.interrupt()).toBe(false)
})

test('messages into a thread that rests, runs and runs on', async () => {
  const thread = runner.thread('spoken-to')
  await (await thread.run({ content: 'hello' })).text()
  const first = await thread.run({ content: 'hang' })
  await startUntil(first, 'TEXT_MESSAGE_CONTENT')
  await expect(thread.run({ content: 'now' })).rejects.toMatchObject({ code: 'thread_busy' })
  const queued = await thread.message('later')
  expect(queued).toMatchObject({ delivery: 'queue' })
  // A run that is queued is read from its start, whenever that comes.
  const last = await thread.run({ content: 'last', forwardedProps: { delivery: 'queue' } })
  const text = last.text()
  await thread.interrupt()
  expect(await text).toBe('You said: last')
  const started: string[] = []
  for await (const { event } of thread.follow()) {
    if (event.type === 'RUN_STARTED') started.push(event.runId)
    if (event.type === 'RUN_FINISHED' && event.runId === last.runId) break
  }
  expect(started.slice(1)).toEqual([first.runId, queued.runId, last.runId])
})

test('a run that is steered into another ends at once and says so', async () => {
  const asking = new Runner({ url: server.url, token: TOKEN }).thread('one')
  const first = await asking.run({ content: 'hang' })
  await startUntil(first, 'TEXT_MESSAGE_CONTENT')
  const steered = await asking.run({ content: 'turn left', forwardedProps: { delivery: 'steer' } })
  const events = await eventsOf(steered)
  expect(events.some((event) => isOwn('steered', event) && event.value.intoRunId === first.runId)).toBe(true)
  await asking.interrupt()
})

test('a ticket stands for the token: for an EventSource once, and for a page that gets one for each stream', async () => {
  const thread = runner.thread('ticketed')
  await (await thread.run({ content: 'hello' })).text()
  const { lastSeq } = await thread.describe()
  const address = await thread.eventsAddress({ after: 1 })
  const got = frames(await fetch(address))
  expect((await got.next()).value).toMatchObject({ id: 2 })
  await got.return(undefined)
  expect((await fetch(address)).status).toBe(401)
  let taken = 0
  const page = new Runner({
    url: server.url,
    async ticket(threadId) {
      taken += 1
      return (await runner.ticket(threadId)).ticket
    },
  })
  const types: string[] = []
  for await (const { seq, event } of page.thread('ticketed').follow()) {
    types.push(event.type)
    if (seq === lastSeq) break
  }
  expect([types.length, taken]).toEqual([lastSeq, 1])
  await expect(page.thread('ticketed').describe()).rejects.toMatchObject({ code: 'unauthorized' })
})

test('what cannot work is refused where it is asked', async () => {
  for (const threadId of ['', '.', '..', '\ud83d']) expect(() => runner.thread(threadId)).toThrow(TypeError)
  await expect(runner.thread('x').follow({ after: -1 }).next()).rejects.toBeInstanceOf(RangeError)
  const stranger = new Runner({ url: server.url, token: 'wrong' })
  await expect(stranger.thread('x').run({ content: 'hello' })).rejects.toMatchObject({ code: 'unauthorized' })
  const left = AbortSignal.abort(new Error('left'))
  await expect(runner.thread('unasked').run({ content: 'hello' }, { signal: left })).rejects.toThrow('left')
  await expect(runner.thread('unasked').describe()).rejects.toMatchObject({ code: 'not_found' })
  const nobody = new Runner({ url: 'http://127.0.0.1:1' })
  await expect(nobody.thread('x').run({ content: 'hello', sendMsMax: 0 })).rejects.toBeInstanceOf(TypeError)
  const thread = runner.thread('asked-twice')
  await (await thread.run({ content: 'hello', runId: 'one' })).text()
  await expect(thread.run({ content: 'again', runId: 'one' })).rejects.toMatchObject({ code: 'run_exists' })
})

test('a runner under a path is found there', async () => {
  const asked: string[] = []
  const under = new Runner({
    url: 'https://example.test/some/runner?x#y',
    async fetch(url) {
      asked.push(url)
      return Response.json({ sessions: [] })
    },
  })
  await under.threads()
  await under.thread('a/b?c').interrupt()
  expect(asked).toEqual([
    'https://example.test/some/runner/sessions',
    'https://example.test/some/runner/sessions/a%2Fb%3Fc/interrupt',
  ])
})
