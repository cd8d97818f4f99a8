import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import { RoomWait } from '../../src/thread/room-wait.ts'
import { ThreadWriter } from '../../src/thread/thread-writer.ts'
import { StoreFolder } from '../support/event-log.ts'

const folder = new StoreFolder()
beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }))
afterEach(async () => {
  vi.useRealTimers()
  await folder.remove()
})

test('a store that is full or does not answer is asked again; any other failure is said', async () => {
  const failures = [...(['storage_full', 'storage_unavailable', 'internal'] as const)]
  class Failing extends ThreadWriter {
    override async checkRoom(): Promise<void> {
      const code = failures.shift()
      if (code !== undefined) throw new RunnerError(code, code)
    }
  }
  let again = 0
  const room = new RoomWait(new Failing(await folder.open(), { threadId: 't', head: 0 }), () => again++)
  for (const times of [1, 2]) {
    expect(await room.isThere()).toBe(false)
    vi.runAllTimers()
    expect(again).toBe(times)
  }
  await expect(room.isThere()).rejects.toMatchObject({ code: 'internal' })
  expect(await room.isThere()).toBe(true)
})
