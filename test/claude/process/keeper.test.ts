import { expect, test } from 'vitest'
import { Keeper, type Kept } from '../../../src/claude/process/keeper.ts'
import { Slots } from '../../../src/lease.ts'
import { turn } from '../../support/event-log.ts'

/** A process whose end the test decides. */
class FakeProcess implements Kept {
  readonly startKey: string
  readonly claude
  isAskedToEnd = false
  end: () => void = () => {}

  constructor(startKey = 'key') {
    this.startKey = startKey
    const exited = new Promise<{ code: number; signal: null; stderr: string }>((resolve) => {
      this.end = () => {
        this.claude.running = false
        resolve({ code: 0, signal: null, stderr: '' })
      }
    })
    this.claude = {
      running: true,
      exited,
      close: async () => {
        this.isAskedToEnd = true
        await exited
      },
    }
  }
}

function world(slots = new Slots<string>(8)) {
  const launched: FakeProcess[] = []
  const keeper = new Keeper<FakeProcess>({
    claim: async () => {
      const lease = slots.take('thread')
      if (lease === undefined) throw new Error('no slot')
      return lease
    },
    onLeave: () => {},
    onClearing: () => {},
  })
  const ensure = (key = 'key') =>
    keeper.ensure(
      async () => key,
      async () => {
        const process = new FakeProcess(key)
        launched.push(process)
        return process
      },
    )
  return { keeper, ensure, launched, slots }
}

test('two that want a process at once get the same one', async () => {
  const { ensure, launched, slots } = world()
  const [one, two] = await Promise.all([ensure(), ensure()])
  expect(launched).toHaveLength(1)
  expect([one.kept, one.isNew, two.kept, two.isNew]).toEqual([launched[0], true, launched[0], false])
  expect(slots.held).toBe(1)
})

test('one with other settings starts when the one before is gone, in one slot', async () => {
  const { ensure, launched, slots } = world(new Slots(1))
  await ensure('a')
  const other = ensure('b')
  await turn()
  expect([launched.length, launched[0]?.isAskedToEnd, slots.held]).toEqual([1, true, 1])
  launched[0]?.end()
  await other
  expect([launched.length, slots.held]).toEqual([2, 1])
})

test('a slot is held until the process is gone, also while another wants to start', async () => {
  const { keeper, ensure, launched, slots } = world()
  await ensure()
  const rested = keeper.rest()
  expect(keeper.current).toBeUndefined()
  const again = ensure()
  await turn()
  expect([launched.length, slots.held]).toEqual([1, 1])
  launched[0]?.end()
  await Promise.all([rested, again])
  // The end of the first has freed its own slot, not the second one's.
  await turn()
  expect([launched.length, slots.held, keeper.current]).toEqual([2, 1, launched[1]])
})

test('a process that ends by itself frees its slot once it is cleared up after', async () => {
  const { keeper, ensure, launched, slots } = world(new Slots(1))
  await ensure()
  launched[0]?.end()
  const again = await ensure()
  expect([again.kept, slots.held, keeper.current]).toEqual([launched[1], 1, launched[1]])
})

test('a start that fails holds no slot', async () => {
  const { keeper, slots } = world()
  const failing = keeper.ensure(
    async () => 'key',
    async () => {
      throw new Error('no binary')
    },
  )
  await expect(failing).rejects.toThrow('no binary')
  expect([slots.held, keeper.isStarting]).toEqual([0, false])
})

test('closed in the middle of a start, it ends what was started; nothing starts afterwards', async () => {
  const { keeper, ensure, launched, slots } = world()
  const starting = ensure()
  // The start is under way; what it brings is asked to end at once.
  const closed = keeper.close()
  const outcome = await starting.then(
    () => 'started',
    () => 'refused',
  )
  for (const process of launched) process.end()
  await closed
  expect([outcome, slots.held, keeper.current]).toEqual(['refused', 0, undefined])
  await expect(ensure()).rejects.toThrow('closed')
})

test('a slot that was freed once may be somebody else’s: freeing it again changes nothing', () => {
  const slots = new Slots<string>(1)
  const first = slots.take('one')
  first?.release()
  const second = slots.take('two')
  first?.release()
  expect([slots.held, slots.holders, slots.take('three')]).toEqual([1, ['two'], undefined])
  second?.release()
  expect(slots.held).toBe(0)
})
