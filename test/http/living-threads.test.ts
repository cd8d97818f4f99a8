import { Readable } from 'node:stream'
import { EventType } from '@ag-ui/core'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type LivingAgent, LivingThreads } from '../../src/http/platform/living-threads.ts'
import { TaskLedger } from '../../src/thread/task-ledger.ts'
import { appendTo, StoreFolder } from '../support/event-log.ts'

const NO_SIGNAL = new AbortController().signal

let folder: StoreFolder
let warm: boolean

beforeEach(() => {
  folder = new StoreFolder()
  warm = true
})
afterEach(() => folder.remove())

async function open(living: LivingAgent, sessionId?: string): Promise<LivingThreads> {
  const storage = await folder.open()
  const value = { taskId: 'b1', state: 'started', taskType: 'local_bash' }
  await appendTo(storage, 't', 'run', [{ type: EventType.CUSTOM, name: 'agui-runner.task', value }])
  return new LivingThreads({
    threads: { list: () => [{ threadId: 't', createdAt: 1, state: 'idle', warm }] },
    ledger: new TaskLedger(storage.log),
    living,
    sessionId,
  })
}

describe('stopping a task', () => {
  test('asks the living process of its thread, found by the task alone', async () => {
    const asked: unknown[] = []
    const facts = await open({
      stopTask: async (...[threadId, taskId]) => {
        asked.push([threadId, taskId])
        return true
      },
    })
    expect(await facts.stopTask('b1', undefined, NO_SIGNAL)).toBeUndefined()
    expect(asked).toEqual([['t', 'b1']])
    await expect(facts.stopTask('b1', 'another', NO_SIGNAL)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('says so when no process could do it', async () => {
    const facts = await open({ stopTask: async () => false })
    await expect(facts.stopTask('b1', 't', NO_SIGNAL)).rejects.toMatchObject({ code: 'not_found' })
    const without = await open({})
    await expect(without.stopTask('b1', 't', NO_SIGNAL)).rejects.toMatchObject({ code: 'not_found' })
  })

  test('is needless when the process that it ran in is gone', async () => {
    warm = false
    const facts = await open({})
    expect(await facts.stopTask('b1', 't', NO_SIGNAL)).toBe('stopped')
    expect(await facts.tasks('t', NO_SIGNAL)).toMatchObject([{ task_id: 'b1', status: 'stopped' }])
  })
})

test("a task's output is asked of the agent of its thread", async () => {
  const asked: unknown[] = []
  const output = { stream: Readable.from(['said']), size: 4 }
  const facts = await open({
    taskOutput: async (...[threadId, taskId]) => {
      asked.push([threadId, taskId])
      return output
    },
  })
  expect(await facts.taskOutput('b1', undefined, NO_SIGNAL)).toBe(output)
  expect(asked).toEqual([['t', 'b1']])
  await expect(facts.taskOutput('none', undefined, NO_SIGNAL)).rejects.toMatchObject({ code: 'not_found' })
  const gone = await open({ taskOutput: async () => undefined })
  await expect(gone.taskOutput('b1', 't', NO_SIGNAL)).rejects.toMatchObject({ code: 'not_found' })
})

test('MCP status comes from the process that lives: of the thread named, the own one, or any', async () => {
  const servers = [{ name: 'files', status: 'connected' }]
  const asked: string[] = []
  const living = {
    async mcpServers(threadId: string) {
      asked.push(threadId)
      return threadId === 't' ? servers : undefined
    },
  }
  const facts = await open(living, 'own')
  expect(await facts.mcpStatus('t', NO_SIGNAL)).toEqual(servers)
  expect(await facts.mcpStatus(undefined, NO_SIGNAL)).toEqual([])
  const ownless = await open(living)
  expect(await ownless.mcpStatus(undefined, NO_SIGNAL)).toEqual(servers)
  expect(asked).toEqual(['t', 'own', 't'])
})
