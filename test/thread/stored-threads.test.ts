// What of a thread's stored data is not what this version writes: a store that many runners share is not looked through
// before it is opened.
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import type { Write } from '../../src/storage/table.ts'
import { isReadable } from '../../src/thread/stored-threads.ts'
import { helloAgent, lookAtNone, ThreadsWorld } from '../support/threads.ts'

const said = (content: string) => [{ id: `m-${content}`, role: 'user', content }] as const
const input = (threadId: string, runId: string, content = runId) => ({
  ...{ threadId, runId, messages: [...said(content)], tools: [], context: [], state: {}, forwardedProps: {} },
})
const facts = { createdAt: 1, updatedAt: 1, lastOutcome: 'success', usage: [], memory: {} }

/** By a word that makes its memory odd. */
const refusing = (memory: Record<string, unknown>) => {
  if ('odd' in memory) throw new RunnerError('storage_damaged', 'The store is damaged: the memory.')
}

let world: ThreadsWorld
beforeEach(async () => {
  const agent = {
    open(_threadId: string, memory: Record<string, unknown>) {
      refusing(memory)
      return helloAgent()
    },
    look(memory: Record<string, unknown>) {
      refusing(memory)
      return lookAtNone()
    },
  }
  world = await ThreadsWorld.open({ agent })
  await world.threads.submit(input('whole', 'r'))
  await world.ended('r')
})
afterEach(() => world.close())

async function store(...writes: Write[]): Promise<void> {
  for (const write of writes) await world.storage.commit({ threadId: write.key[0], writes: [write] })
}

describe.each<[string, Write[]]>([
  ['facts', [{ table: 'threads', key: ['odd'], value: { createdAt: 'yesterday' } }]],
  ['facts of another shape', [{ table: 'threads', key: ['odd'], value: [] }]],
  ['outcome', [{ table: 'threads', key: ['odd'], value: { ...facts, lastOutcome: 'paused' } }]],
  ['memory', [{ table: 'threads', key: ['odd'], value: { ...facts, memory: { odd: 1 } } }]],
  [
    'queue',
    [
      { table: 'threads', key: ['odd'], value: facts },
      { table: 'queue', key: ['odd', 1], value: Buffer.from('{"runId":7}\n{}') },
    ],
  ],
])('a thread whose stored %s nobody can read', (_what, writes) => {
  const damaged = { code: 'storage_damaged', message: expect.stringMatching(/^The store is damaged: .+\.$/s) }

  test('is refused by name at every door, and hides no other, also after a restart', async () => {
    await store(...writes)
    await world.restart()
    const { threads } = world
    await expect(threads.submit(input('odd', 'again'))).rejects.toMatchObject(damaged)
    await expect(threads.post('odd', 'hello', 'queue')).rejects.toMatchObject(damaged)
    await expect(threads.get('odd')).rejects.toMatchObject(damaged)
    await expect(threads.view('odd')).rejects.toMatchObject(damaged)
    expect((await threads.all()).map(({ threadId }) => threadId)).toEqual(['whole'])
    await threads.submit(input('whole', 'next'))
    await world.ended('next')
    // Nothing of it was written over.
    const [write] = writes
    expect(await world.storage.tables.threads.get(['odd'])).toEqual(write?.value)
  })

  test('can be deleted, and its id used anew', async () => {
    await store(...writes)
    await world.restart()
    await Promise.all([world.threads.delete('odd'), world.threads.delete('odd')])
    await expect(world.threads.view('odd')).rejects.toMatchObject({ code: 'not_found' })
    await world.threads.submit(input('odd', 'anew'))
    await world.ended('anew')
    expect((await world.threads.view('odd')).lastSeq).toBeGreaterThan(0)
  })
})

test('a run that names a message whose digest nobody can read is refused by name', async () => {
  const { messages } = world.storage.tables
  const [entry] = await messages.entries('whole')
  if (entry === undefined) throw new Error('no message was seen')
  await store({ table: 'messages', key: entry.key, value: { says: 'another version' } })
  await expect(world.threads.submit(input('whole', 'again', 'r'))).rejects.toMatchObject({
    code: 'storage_damaged',
    message: expect.stringContaining('thread "whole"'),
  })
})

test('a store of one runner is asked about all of it before it is opened', () => {
  const reads = (table: string, value: unknown): boolean =>
    isReadable(table, Buffer.from(JSON.stringify(value)), (memory) => !('odd' in memory))
  expect([reads('threads', facts), reads('threads', { deleted: true }), reads('runs', 7)]).toEqual([
    true,
    true,
    true,
  ])
  expect([reads('threads', {}), reads('threads', { ...facts, memory: { odd: 1 } })]).toEqual([false, false])
  expect([reads('messages', { said: 'x' }), reads('messages', 'x'), reads('queue', {})]).toEqual([
    true,
    false,
    false,
  ])
  expect(isReadable('threads', Buffer.from('no JSON'))).toBe(false)
})
