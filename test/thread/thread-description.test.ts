import { expect, test } from 'vitest'
import { describeThread } from '../../src/thread/thread-description.ts'

const facts = { lastOutcome: 'interrupt' as const, usage: [], createdAt: 1, updatedAt: 2, memory: {} }
const interrupts = [{ id: 'ask', reason: 'tool_call' }]

test('what waits for a person waits no more while a run has the answer', () => {
  const now = { agent: { warm: false, interrupts }, lastSeq: 5, waiting: [] }
  expect(describeThread('t', facts, { ...now, runId: undefined })).toMatchObject({
    state: 'interrupted',
    interrupts,
  })
  expect(describeThread('t', facts, { ...now, runId: 'answering' })).toMatchObject({
    state: 'running',
    interrupts: [],
  })
})
