import { readFileSync } from 'node:fs'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { AguiEvent } from '../../src/agui/event.ts'
import type { Storage } from '../../src/storage/storage.ts'
import { TaskLedger } from '../../src/thread/task-ledger.ts'
import { appendTo, deltas, StoreFolder } from '../support/event-log.ts'

const NO_SIGNAL = new AbortController().signal

let folder: StoreFolder
let storage: Storage
let ledger: TaskLedger

beforeEach(async () => {
  folder = new StoreFolder()
  storage = await folder.open()
  ledger = new TaskLedger(storage.log)
})
afterEach(() => folder.remove())

const recorded = (name: string): AguiEvent[] =>
  readFileSync(`test/fixtures/claude/${name}.agui.jsonl`, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line))

const tasks = (threadId = 't', createdAt = 1) => ledger.tasks({ threadId, createdAt }, NO_SIGNAL)
const append = (events: readonly AguiEvent[], threadId = 't') => appendTo(storage, threadId, 'run', events)

test('a background command is running until its notification, and then ended', async () => {
  const events = recorded('background-bash')
  const end = events.findIndex((event) => JSON.stringify(event).includes('"state":"completed"'))
  await append(events.slice(0, end))
  expect(await tasks()).toMatchObject([{ status: 'running', description: 'bg', taskType: 'local_bash' }])
  await append(events.slice(end))
  expect(await tasks()).toMatchObject([
    { status: 'completed', description: 'bg', summary: 'Background command "bg" completed (exit code 0)' },
  ])
})

test.each([
  ['subagent', ['completed']],
  ['subagents-parallel', ['completed', 'completed']],
  ['subagent-nested', ['completed', 'completed']],
  ['subagent-fails', ['failed']],
  ['interrupt-subagent', ['failed']],
])('the recording %s gives %j', async (name, statuses) => {
  await append(recorded(name))
  const found = await tasks()
  expect(found.map(({ status }) => status).sort()).toEqual(statuses)
  expect(found.every(({ taskType }) => taskType === 'local_agent')).toBe(true)
})

test('a subagent that outlives its run is one task that goes on', async () => {
  const events = recorded('subagent-background')
  const suspended = events.findIndex((event) => JSON.stringify(event).includes('"suspended"'))
  expect(suspended).toBeGreaterThan(0)
  await append(events.slice(0, suspended + 1))
  expect(await tasks()).toMatchObject([{ status: 'running' }])
  await append(events.slice(suspended + 1))
  expect(await tasks()).toMatchObject([{ status: 'completed' }])
})

test('threads do not see each other', async () => {
  await append(recorded('subagent'))
  await append(deltas(3), 'other')
  expect(await tasks()).toHaveLength(1)
  expect(await tasks('other')).toEqual([])
  expect(await tasks('unknown')).toEqual([])
})

test.each([1, 1000])('a thread that was made anew starts empty, with a log of %i', async (records) => {
  await append(recorded('subagent'))
  expect(await tasks()).toHaveLength(1)
  await storage.drop('t')
  await append(deltas(records))
  expect(await tasks('t', 2)).toEqual([])
})

test('what asks at once gets the same, and each record is taken once', async () => {
  await append(deltas(5000))
  await append(recorded('subagents-parallel'))
  const answers = await Promise.all([tasks(), tasks(), tasks()])
  for (const answer of answers) expect(answer).toHaveLength(2)
})
