// One life at a time for an id: a deletion under way is waited for at every door, and nothing comes back of it.
import { afterEach, describe, expect, test } from 'vitest'
import type { Script } from '../../src/mock/script.ts'
import { bodyOf, frames, post, runInput } from '../support/client.ts'
import { type Deferred, deferred } from '../support/deferred.ts'
import { readRecords, turn } from '../support/event-log.ts'
import { claudeOf } from '../support/processes.ts'
import { type Bench, openBench } from '../support/runner.ts'
import { helloAgent, lookAtNone, ThreadsWorld } from '../support/threads.ts'

const input = (threadId: string, runId: string) => ({
  threadId,
  runId,
  messages: [{ id: `m-${runId}`, role: 'user' as const, content: 'hi' }],
  tools: [],
  context: [],
})

describe('while a deletion goes on', () => {
  let world: ThreadsWorld
  /** The end of the agent's process, of each life in turn. */
  let closings: Deferred[]
  afterEach(async () => {
    for (const closing of closings) closing.resolve()
    await world.close()
  })

  /** A thread that has run, and whose process takes its time to end. */
  async function openWorld(
    agent: Partial<ReturnType<typeof helloAgent>> = {},
    threadsMax = 8,
  ): Promise<void> {
    closings = []
    world = await ThreadsWorld.open({
      threadsMax,
      agent: {
        look: lookAtNone,
        open() {
          const closing = deferred()
          closings.push(closing)
          return { ...helloAgent(), ...agent, close: () => closing.promise }
        },
      },
    })
    await world.threads.submit(input('t', 'r1'))
    await world.ended('r1')
  }

  /** Whether it is still waited for when all has been done that can be done now. */
  async function isWaiting(promise: Promise<unknown>): Promise<boolean> {
    let isOver = false
    const over = (): void => {
      isOver = true
    }
    promise.then(over, over)
    for (let turns = 0; turns < 20; turns++) await turn()
    return !isOver
  }

  test('every door waits for it, and then finds nothing', async () => {
    await openWorld()
    const { threads } = world
    const deletion = threads.delete('t')
    const doors = [threads.find('t'), threads.get('t'), threads.settled('t'), threads.delete('t')]
    expect(await Promise.all(doors.map(isWaiting))).toEqual([true, true, true, true])
    closings[0]?.resolve()
    await deletion
    const outcomes = await Promise.allSettled(doors)
    expect(outcomes).toMatchObject([
      { value: undefined },
      { reason: { code: 'not_found' } },
      { status: 'fulfilled' },
      // The same deletion, asked for twice.
      { status: 'fulfilled' },
    ])
    await expect(threads.delete('t')).rejects.toMatchObject({ code: 'not_found' })
    expect(threads.list()).toEqual([])
  })

  test('what is sent to the id begins the next life, listed, stoppable and alone after a restart', async () => {
    await openWorld()
    const { threads } = world
    const deletions = [threads.delete('t'), threads.delete('t')]
    const submitted = threads.submit(input('t', 'r2'))
    expect(await isWaiting(submitted)).toBe(true)
    closings[0]?.resolve()
    await Promise.all(deletions)
    expect(await submitted).toMatchObject({ runId: 'r2', after: 0 })
    await world.ended('r2')
    expect(threads.list()).toMatchObject([{ threadId: 't', lastSeq: 5 }])
    const records = await readRecords(world.log, 't')
    expect(new Set(records.map(({ runId }) => runId))).toEqual(new Set(['r2']))
    const again = threads.delete('t')
    expect(await isWaiting(again)).toBe(true)
    closings[1]?.resolve()
    await again
    await world.restart()
    expect(world.threads.list()).toEqual([])
  })

  test('a message and a model wait as a run does', async () => {
    await openWorld()
    const { threads } = world
    const deletion = threads.delete('t')
    const waiting = [threads.post('t', 'hello', 'steer'), threads.setModel('t', 'other')]
    expect(await Promise.all(waiting.map(isWaiting))).toEqual([true, true])
    closings[0]?.resolve()
    await deletion
    expect((await waiting[0]) as unknown).toMatchObject({ delivery: 'run' })
    await waiting[1]
    expect(threads.list()).toHaveLength(1)
  })

  test('a reader that waits for the thread gets the next life', async () => {
    await openWorld()
    const { threads } = world
    const deletion = threads.delete('t')
    const arrived = threads.arrived('t', new AbortController().signal)
    expect(await isWaiting(arrived)).toBe(true)
    closings[0]?.resolve()
    await deletion
    expect(await isWaiting(arrived)).toBe(true)
    await threads.submit(input('t', 'r2'))
    await arrived
    expect(await world.log.head('t')).toBeGreaterThan(0)
  })

  test('the thread keeps its place until the last of it is gone', async () => {
    await openWorld({}, 1)
    const { threads } = world
    const deletion = threads.delete('t')
    await expect(threads.submit(input('other', 'r2'))).rejects.toMatchObject({ code: 'too_many_threads' })
    closings[0]?.resolve()
    await deletion
    await threads.submit(input('other', 'r2'))
    expect(threads.list()).toMatchObject([{ threadId: 'other' }])
  })

  test('a model that was being told does not bring the thread back', async () => {
    const telling = deferred()
    await openWorld({
      async setModel() {
        await telling.promise
        return undefined
      },
    })
    const { threads } = world
    const switched = threads.setModel('t', 'other')
    const deletion = threads.delete('t')
    closings[0]?.resolve()
    await deletion
    telling.resolve()
    await expect(switched).rejects.toMatchObject({ code: 'shutting_down' })
    await world.restart()
    expect(world.threads.list()).toEqual([])
  })

  test('a stop of the runner waits for it', async () => {
    await openWorld()
    const { threads } = world
    const deletion = threads.delete('t')
    const closed = threads.close()
    expect(await isWaiting(closed)).toBe(true)
    closings[0]?.resolve()
    await closed
    await deletion
    await expect(threads.submit(input('t', 'r2'))).rejects.toMatchObject({ code: 'shutting_down' })
  })
})

test('a deletion that a kill cut off is done at the next start', async () => {
  const world = await ThreadsWorld.open()
  await world.threads.submit(input('t', 'r1'))
  await world.ended('r1')
  // What is in the store when a runner is killed right behind the first step of a deletion.
  await world.table.bury('t')
  await world.restart()
  const { hasRun } = await world.table.lookUp('t', 'r1', [])
  expect([world.threads.list(), await world.log.head('t'), hasRun]).toEqual([[], 0, false])
  expect(await world.threads.submit(input('t', 'r1'))).toMatchObject({ runId: 'r1', after: 0 })
  await world.close()
})

test('what is refused takes away the thread that was made for it, and no other', async () => {
  const world = await ThreadsWorld.open()
  const { threads } = world
  await threads.warm('warmed')
  const refused = ['warmed', 'new', 'new'].map((id) => threads.post(id, 7, 'queue'))
  for (const refusal of refused) await expect(refusal).rejects.toMatchObject({ code: 'invalid_input' })
  expect(threads.list().map(({ threadId }) => threadId)).toEqual(['warmed'])
  await world.close()
})

const SCRIPT: Script = { rules: [{ reply: [{ text: 'partial' }, { hang: true }] }] }
let bench: Bench | undefined
afterEach(() => bench?.close())

test('two DELETEs and a POST at once: one thread, one process, also after kill -9', async () => {
  bench = await openBench({ script: SCRIPT })
  const runner = await bench.start()
  const url = `${runner.url}/sessions/t`
  const untilWork = async (answer: Response): Promise<void> => {
    for await (const { event } of frames(answer)) if (event.type === 'TEXT_MESSAGE_CONTENT') return
  }
  await untilWork(await post(runner.url, runInput('t', 'one')))
  const gone = [fetch(url, { method: 'DELETE' }), fetch(url, { method: 'DELETE' })]
  // The doors see them in the order in which they came.
  while ((await bodyOf(await fetch(`${runner.url}/sessions`)))['sessions'][0]?.state === 'running')
    await turn()
  const answer = await post(runner.url, runInput('t', 'two'))
  expect((await Promise.all(gone)).map(({ status }) => status)).toEqual([204, 204])
  await untilWork(answer)
  const { sessions } = await bodyOf(await fetch(`${runner.url}/sessions`))
  expect(sessions).toMatchObject([{ threadId: 't', state: 'running' }])
  expect(claudeOf(bench)).toHaveLength(1)
  await runner.stop('SIGKILL')
  const again = await bench.start()
  expect((await bodyOf(await fetch(`${again.url}/sessions`)))['sessions']).toHaveLength(1)
  expect((await fetch(`${again.url}/sessions/t`, { method: 'DELETE' })).status).toBe(204)
  await again.stop('SIGKILL')
  const last = await bench.start()
  expect((await bodyOf(await fetch(`${last.url}/sessions`)))['sessions']).toEqual([])
})
