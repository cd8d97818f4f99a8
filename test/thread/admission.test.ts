import { expect, test } from 'vitest'
import { deliveryOf, threadBusy } from '../../src/thread/admission.ts'

const input = { threadId: 't', runId: 'r', messages: [], tools: [], context: [] }

test.each([
  [{ delivery: 'queue' }, 'queue'],
  [{ delivery: 'steer', other: 1 }, 'steer'],
  [{ delivery: 'now' }, undefined],
  [{}, undefined],
  ['queue', undefined],
  [null, undefined],
  [undefined, undefined],
])('forwardedProps %j ask for %j', (forwardedProps, delivery) => {
  expect(deliveryOf({ ...input, forwardedProps })).toBe(delivery)
})

test('a busy thread names the run under way, and what the client may do', () => {
  const error = threadBusy('run-1')
  expect(error).toMatchObject({ code: 'thread_busy', details: { runId: 'run-1' } })
  expect(error.message).toMatch(/"run-1".*wait.*interrupt.*delivery "queue"/)
})
