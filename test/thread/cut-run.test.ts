import { EventType } from '@ag-ui/core'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { closeCut, RESTARTED } from '../../src/thread/cut-run.ts'
import { type Queue, Queues } from '../../src/thread/queue.ts'
import { type ThreadFacts, ThreadTable } from '../../src/thread/thread-table.ts'
import { ThreadWriter } from '../../src/thread/thread-writer.ts'
import { appendTo, readRecords, StoreFolder } from '../support/event-log.ts'
import { helloAgent } from '../support/threads.ts'

const BEFORE: AguiEvent[] = [
  { type: EventType.RUN_STARTED, threadId: 't', runId: 'whole' },
  { type: EventType.RUN_FINISHED, threadId: 't', runId: 'whole' },
]
const STARTED: AguiEvent = { type: EventType.RUN_STARTED, threadId: 't', runId: 'cut' }
const FINISHED: AguiEvent = { type: EventType.RUN_FINISHED, threadId: 't', runId: 'cut' }
const ERROR = { type: EventType.RUN_ERROR, code: 'runner_restarted' }
const start = (messageId: string, role: 'assistant' | 'user'): AguiEvent => ({
  ...{ type: EventType.TEXT_MESSAGE_START, messageId, role },
})
const call: AguiEvent = { type: EventType.TOOL_CALL_START, toolCallId: 'c', toolCallName: 'Bash' }

let folder: StoreFolder
let storage: LmdbStorage
beforeEach(async () => {
  folder = new StoreFolder()
  storage = await folder.open()
})
afterEach(() => folder.remove())

/** The thread as another process finds it. */
async function found(): Promise<{
  writer: ThreadWriter
  queue: Queue
  close(): ReturnType<typeof closeCut>
}> {
  const queues = new Queues({ storage, queueMax: 10, queueBytesMax: 100_000 })
  const writer = new ThreadWriter(storage, { threadId: 't', head: await storage.log.head('t') })
  const queue = queues.open(writer, await queues.stored('t'))
  const facts: ThreadFacts = {
    ...{ createdAt: 1, updatedAt: 1, lastOutcome: 'success', usage: [], memory: {} },
    openRun: { runId: 'cut', after: 2 },
  }
  const close = () => closeCut(RESTARTED, facts, { agent: helloAgent(), log: storage.log, writer, queue })
  return { writer, queue, close }
}

/** What the log has behind the run before. */
async function cutRun() {
  return (await readRecords(storage.log, 't', { after: 2 })).map(({ event }) => event)
}

async function record(...events: AguiEvent[]): Promise<void> {
  await appendTo(storage, 't', 'whole', BEFORE)
  if (events.length > 0) await appendTo(storage, 't', 'cut', events)
}

test('what is open is closed, innermost first, and the run ends with its reason', async () => {
  await record(STARTED, start('m', 'assistant'), call)
  const { close } = await found()
  expect(await close()).toMatchObject({ lastOutcome: 'error', createdAt: 1 })
  expect((await cutRun()).slice(3).map(({ type }) => type)).toEqual([
    EventType.TOOL_CALL_END,
    EventType.TEXT_MESSAGE_END,
    EventType.RUN_ERROR,
  ])
  expect(await new ThreadTable(storage).get('t')).not.toHaveProperty('openRun')
})

test('a run whose end was written gets no second one', async () => {
  await record(STARTED, FINISHED)
  const { close } = await found()
  expect(await close()).toMatchObject({ lastOutcome: 'error' })
  expect((await cutRun()).map(({ type }) => type)).toEqual([EventType.RUN_STARTED, EventType.RUN_FINISHED])
})

test('a run of which nothing was written has no end either', async () => {
  await record()
  const { close } = await found()
  expect(await close()).not.toHaveProperty('openRun')
  expect(await cutRun()).toEqual([])
})

test('a queued message that the log shows as taken in does not run; one that it does not show is announced', async () => {
  await record(STARTED, start('taken', 'user'))
  const before = await found()
  for (const id of ['taken', 'left']) {
    const messages = [{ id, role: 'user' as const, content: id }]
    const request = { threadId: 't', runId: `run ${id}`, messages, tools: [], context: [] }
    await before.queue.add({ request, digests: [[id, 'digest']], skipped: [] })
  }
  const { queue, close } = await found()
  await close()
  expect(queue.waiting.map(({ runId }) => runId)).toEqual(['run left'])
  expect((await cutRun()).slice(-2)).toMatchObject([
    { name: 'agui-runner.message_queued', value: { messageId: 'left', runId: 'run left' } },
    ERROR,
  ])
  expect((await found()).queue.waiting.map(({ runId }) => runId)).toEqual(['run left'])
})

test('what was steered into it waits like the rest afterwards', async () => {
  await record(STARTED)
  const { queue, close } = await found()
  const messages = [{ id: 'm', role: 'user' as const, content: 'm' }]
  const request = { threadId: 't', runId: 'run', messages, tools: [], context: [] }
  const waiting = await queue.add({ request, digests: [['m', 'digest']], skipped: [] })
  waiting.isSteered = true
  await close()
  expect(queue.waiting).toMatchObject([{ runId: 'run', isSteered: false }])
})

test('nothing was open: nothing is written', async () => {
  await record()
  const { writer, queue } = await found()
  const facts: ThreadFacts = { createdAt: 1, updatedAt: 1, lastOutcome: 'success', usage: [], memory: {} }
  const options = { agent: helloAgent(), log: storage.log, writer, queue }
  expect(await closeCut(RESTARTED, facts, options)).toBeUndefined()
  expect(await storage.log.head('t')).toBe(2)
})
