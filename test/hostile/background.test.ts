// What nobody awaits has one owner: the run that it concerns ends with its code, the log says it, and others go on.
import { EventType } from '@ag-ui/core'
import { afterEach, expect, test } from 'vitest'
import { inBackground } from '../../src/background.ts'
import { type BackgroundFailed, backgroundFailed } from '../../src/channels.ts'
import { Turn } from '../../src/claude/turn.ts'
import { frames, post, runInput } from '../support/client.ts'
import { deferred } from '../support/deferred.ts'
import { readRecords, turn } from '../support/event-log.ts'
import { claudeOf } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { helloAgent, lookAtNone, ThreadsWorld } from '../support/threads.ts'

const told: BackgroundFailed[] = []
const unsubscribe = backgroundFailed.subscribe((failure) => told.push(failure))
let bench: Bench | undefined
afterEach(async () => {
  told.length = 0
  await bench?.close()
})
process.once('exit', unsubscribe)

test('a failure is told with the work it was, and to whoever it concerns', async () => {
  const error = new Error('nobody awaited this')
  const concerned: unknown[] = []
  inBackground({ name: 'work', threadId: 't' }, Promise.reject(error), (failure) => concerned.push(failure))
  await turn()
  expect([told, concerned]).toEqual([[{ name: 'work', threadId: 't', error }], [error]])
})

test('one that is told may fail as well', async () => {
  const second = new Error('second')
  inBackground({ name: 'work' }, Promise.reject(new Error('first')), () => {
    throw second
  })
  await turn()
  expect(told.map(({ error }) => error)).toEqual([expect.any(Error), second])
})

test.each([
  ['is damaged', Buffer.from('{}\n{"threadId":')],
  ['is gone', undefined],
])('a queued run whose entry %s ends with its reason, and the next has its turn', async (_what, value) => {
  const running = deferred()
  const world = await ThreadsWorld.open({
    agent: {
      look: lookAtNone,
      open: () => ({
        ...helloAgent(),
        async run({ runId }) {
          if (runId === 'first') await running.promise
          return { outcome: 'success' }
        },
      }),
    },
  })
  const input = (runId: string) => ({
    threadId: 't',
    runId,
    messages: [{ id: `m-${runId}`, role: 'user' as const, content: 'hi' }],
    tools: [],
    context: [],
    forwardedProps: { delivery: 'queue' },
  })
  for (const runId of ['first', 'broken', 'last']) await world.threads.submit(input(runId))
  // A disk that has lost what it was given cannot be made otherwise.
  await world.storage.commit({
    threadId: 't',
    writes: [{ table: 'queue', key: ['t', 1], value }],
  })
  running.resolve()
  await world.ended('last')
  const records = await readRecords(world.log, 't')
  const broken = records.filter(({ runId }) => runId === 'broken').map(({ event }) => event)
  expect(broken).toMatchObject([
    { type: EventType.RUN_STARTED, runId: 'broken' },
    {
      type: EventType.RUN_ERROR,
      code: 'storage_damaged',
      message: expect.stringContaining('could not be started'),
    },
  ])
  expect(records.at(-1)).toMatchObject({ runId: 'last', event: { type: EventType.RUN_FINISHED } })
  expect([world.failures, world.threads.list()]).toMatchObject([[], [{ state: 'idle', queue: [] }]])
  await world.close()
})

test('one that listens for ends and fails does not keep a thread from its next run', async () => {
  const error = new Error('listener')
  const world = await ThreadsWorld.open({
    onRunEnded: () => {
      throw error
    },
  })
  const runs = ['r1', 'r2']
  for (const runId of runs) {
    const messages = [{ id: `m-${runId}`, role: 'user' as const, content: 'hi' }]
    const { after } = await world.threads.submit({ threadId: 't', runId, messages, tools: [], context: [] })
    await readRecords(world.log, 't', { after, upTo: after + 5 })
  }
  await world.close()
  expect(told).toMatchObject(runs.map((runId) => ({ threadId: 't', runId, error })))
})

test('a message that cannot be told ends its turn, which leaves nothing to the next one', async () => {
  const turned = new Turn({
    memory: undefined,
    clientToolPrefix: undefined,
    switches: {},
    surroundings: '',
    tools: [],
    question: () => undefined,
  })
  const ended = turned.follow({
    emit: () => {
      throw new RangeError('Invalid string length')
    },
    signal: new AbortController().signal,
    begun: Promise.resolve(),
  })
  expect(turned.onMessage({ type: 'system', subtype: 'init', session_id: 's' })).toBeUndefined()
  expect(await ended).toMatchObject({
    outcome: 'error',
    code: 'internal',
    message: expect.stringContaining('Invalid string length'),
  })
  expect(turned.hasLeftovers).toBe(true)
})

test.each([
  ['a rejection', 'Promise.reject(new Error("fault"))'],
  ['an exception', 'setTimeout(() => { throw new Error("fault") })'],
])('%s that nobody owns stops the runner in good order', async (_what, fault) => {
  bench = await openBench({ script: { rules: [{ reply: [{ text: 'partial' }, { hang: true }] }] } })
  const onSignal = encodeURIComponent(`process.on('SIGUSR2', () => { ${fault} })`)
  const runner = await bench.start({ NODE_OPTIONS: `--import=data:text/javascript,${onSignal}` })
  const seen = []
  for await (const { event } of frames(await post(runner.url, runInput('t', 'hang on')))) {
    seen.push(event)
    if (event.type === 'TEXT_MESSAGE_CONTENT') process.kill(runner.pid, 'SIGUSR2')
  }
  expect(seen.at(-1)).toMatchObject({ type: 'RUN_FINISHED', outcome: { type: 'cancelled' } })
  expect(await runner.exited).toBe(1)
  expect(await runner.line(({ level, err }) => level === 'fatal' || err !== undefined)).toMatchObject({
    err: { message: 'fault' },
  })
  expect(claudeOf(bench)).toEqual([])
})
