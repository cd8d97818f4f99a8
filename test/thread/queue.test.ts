import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import type { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { type Queue, type QueuedRun, Queues } from '../../src/thread/queue.ts'
import { ThreadWriter } from '../../src/thread/thread-writer.ts'
import { StoreFolder } from '../support/event-log.ts'

let folder: StoreFolder
let storage: LmdbStorage
beforeEach(async () => {
  folder = new StoreFolder()
  storage = await folder.open()
})
afterEach(() => folder.remove())

async function open(limits: { queueMax?: number; queueBytesMax?: number } = {}): Promise<Queue> {
  const queues = new Queues({ storage, queueMax: 10, queueBytesMax: 100_000, ...limits })
  return queues.open(new ThreadWriter(storage, { threadId: 't', head: 0 }), await queues.stored('t'))
}

function queued(runId: string, ...ids: string[]): QueuedRun {
  const messages = ids.map((id) => ({ id, role: 'user' as const, content: `words of ${id}` }))
  return {
    request: { threadId: 't', runId, messages, tools: [], context: [] },
    digests: ids.map((id) => [id, `digest of ${id}`]),
    skipped: ['what was said in vain'],
  }
}

const waitingIn = (queue: Queue) => queue.waiting.map(({ runId, messageIds }) => [runId, messageIds])

async function commit(queue: Queue): Promise<void> {
  await storage.commit({ threadId: 't', writes: await queue.takenWrites() })
  queue.forgetTaken()
}

test('an entry waits from the moment it is added, in the order of the calls', async () => {
  const queue = await open()
  const adding = ['a', 'b', 'c'].map((id) => queue.add(queued(`run ${id}`, id)))
  expect(waitingIn(queue)).toEqual([
    ['run a', ['a']],
    ['run b', ['b']],
    ['run c', ['c']],
  ])
  await Promise.all(adding)
  expect(waitingIn(await open())).toEqual(waitingIn(queue))
})

test('of several at once no more than QUEUE_MAX get in', async () => {
  const queue = await open({ queueMax: 2 })
  const added = await Promise.allSettled(['a', 'b', 'c'].map((id) => queue.add(queued(`run ${id}`, id))))
  expect(added.map(({ status }) => status)).toEqual(['fulfilled', 'fulfilled', 'rejected'])
  expect(added[2]).toMatchObject({ reason: { code: 'queue_full' } })
})

test('the bytes of all that wait count against QUEUE_BYTES_MAX, and are free when one leaves', async () => {
  const queue = await open({ queueBytesMax: 600 })
  const first = await queue.add(queued('first', 'a'))
  await queue.add(queued('second', 'b'))
  await expect(queue.add(queued('third', 'c'))).rejects.toMatchObject({ code: 'queue_full' })
  queue.leave(first)
  await queue.add(queued('third', 'c'))
  expect(waitingIn(queue).map(([runId]) => runId)).toEqual(['second', 'third'])
})

test('one that the store does not take does not wait', async () => {
  class FullDisk extends ThreadWriter {
    override commit(): Promise<void> {
      return Promise.reject(new RunnerError('storage_full', 'full'))
    }
  }
  const queues = new Queues({ storage, queueMax: 10, queueBytesMax: 100_000 })
  const queue = queues.open(new FullDisk(storage, { threadId: 't', head: 0 }), [])
  await expect(queue.add(queued('lost', 'a'))).rejects.toMatchObject({ code: 'storage_full' })
  expect(queue.waiting).toEqual([])
})

test('is read while it is still being written', async () => {
  const queue = await open()
  const adding = queue.add(queued('run a', 'a'))
  const [waiting] = queue.waiting
  if (waiting === undefined) throw new Error('nothing waits')
  expect(await queue.read(waiting)).toMatchObject({ request: { messages: [{ content: 'words of a' }] } })
  await adding
})

test('a message that a turn took in does not run again, and the others of its run do', async () => {
  const queue = await open()
  const waiting = await queue.add(queued('run', 'a', 'b'))
  expect(queue.takeIn('nobody')).toBeUndefined()
  expect(queue.takeIn('a')).toEqual(['a', 'digest of a'])
  expect(queue.takeIn('a')).toBeUndefined()
  const rest = {
    request: { messages: [{ id: 'b' }] },
    digests: [['b', 'digest of b']],
    skipped: ['what was said in vain'],
  }
  expect(await queue.read(waiting)).toMatchObject(rest)
  // Killed before the end of the run: the store has both still, the log says what was taken in.
  expect(waitingIn(await open())).toEqual([['run', ['a', 'b']]])
  await commit(queue)
  expect(waitingIn(await open())).toEqual([['run', ['b']]])
  expect(queue.takeIn('b')).toEqual(['b', 'digest of b'])
  expect(queue.has(waiting)).toBe(false)
  await commit(queue)
  expect(waitingIn(await open())).toEqual([])
})

test('a store that does not answer is waited for at the end of a run', async () => {
  const queue = await open()
  await queue.add(queued('run', 'a', 'b'))
  queue.takeIn('a')
  const silence = new RunnerError('storage_unavailable', 'no answer')
  vi.spyOn(storage.tables.queue, 'get').mockRejectedValueOnce(silence).mockRejectedValueOnce(silence)
  await commit(queue)
  expect(waitingIn(await open())).toEqual([['run', ['b']]])
})

test('what is added behind a restart goes behind what is there', async () => {
  await (await open()).add(queued('before', 'a'))
  const queue = await open()
  await queue.add(queued('after', 'b'))
  expect(waitingIn(await open()).map(([runId]) => runId)).toEqual(['before', 'after'])
})

test('removed with the commit that starts its run', async () => {
  const queue = await open()
  const waiting = await queue.add(queued('run', 'a'))
  await storage.commit({ threadId: 't', writes: queue.removal(waiting) })
  queue.leave(waiting)
  expect(queue.removal(waiting)).toEqual([])
  expect(waitingIn(await open())).toEqual([])
  await expect(queue.read(waiting)).rejects.toThrow('does not wait')
})

test('an order and a withdrawal outlive the process, and what was taken out takes no room', async () => {
  const queue = await open({ queueMax: 3 })
  const added = []
  for (const id of ['a', 'b', 'c']) added.push(await queue.add(queued(`run ${id}`, id)))
  await queue.order(['run c', 'run a', 'run b'])
  await queue.withdraw('run a')
  await queue.add(queued('run d', 'd'))
  const reopened = await open()
  expect(reopened.waiting.map(({ runId, isWithdrawn }) => [runId, isWithdrawn])).toEqual([
    ['run c', false],
    ['run a', true],
    ['run b', false],
    ['run d', false],
  ])
  const [c, a] = reopened.waiting
  expect((await reopened.read(c as NonNullable<typeof c>)).request.messages).toHaveLength(1)
  expect((await reopened.read(a as NonNullable<typeof a>)).request.messages).toEqual([])
  expect(a?.digests).toEqual([['a', 'digest of a']])
})

test('an entry that leaves while the order is read is not put back', async () => {
  const queue = await open()
  const first = await queue.add(queued('run a', 'a'))
  await queue.add(queued('run b', 'b'))
  const ordering = expect(queue.order(['run b', 'run a'])).rejects.toMatchObject({ code: 'queue_changed' })
  // Its run starts now.
  await storage.commit({ threadId: 't', writes: queue.removal(first) })
  await ordering
  expect(waitingIn(await open())).toEqual([['run b', ['b']]])
})
