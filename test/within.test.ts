import { getEventListeners } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, test } from 'vitest'
import { within } from '../src/within.ts'

const NEVER = new AbortController().signal

/** Settles when `signal` is aborted, and is held by nothing else. */
const untilAborted = (signal: AbortSignal): Promise<unknown> =>
  new Promise((resolve) => signal.addEventListener('abort', () => resolve(signal.reason), { once: true }))

function collectGarbage(): void {
  setFlagsFromString('--expose-gc')
  runInNewContext('gc')()
}

test('the time is up also when garbage was collected meanwhile', async () => {
  const waiting = Array.from({ length: 50 }, () => within({ signal: NEVER, timeoutMs: 100 }, untilAborted))
  for (let round = 0; round < 3; round++) {
    await turn()
    collectGarbage()
  }
  for (const reason of await Promise.all(waiting)) expect(reason).toMatchObject({ name: 'TimeoutError' })
})

test('it ends with the other signal, for its reason, also when that was aborted before', async () => {
  const outer = new AbortController()
  const waiting = within({ signal: outer.signal }, untilAborted)
  outer.abort('enough')
  expect(await waiting).toBe('enough')
  expect(await within({ signal: outer.signal }, async ({ aborted, reason }) => [aborted, reason])).toEqual([
    true,
    'enough',
  ])
})

test('what the work gives or throws comes through, and nothing is left listening', async () => {
  const { signal } = new AbortController()
  expect(await within({ signal, timeoutMs: 60_000 }, async () => 'done')).toBe('done')
  await expect(within({ signal }, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken')
  expect(getEventListeners(signal, 'abort')).toEqual([])
})
