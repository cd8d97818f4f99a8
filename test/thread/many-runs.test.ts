import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { EventType } from '@ag-ui/core'
import { afterEach, expect, test } from 'vitest'
import type { AgentSession } from '../../src/agent/agent.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { takeSnapshot } from '../../src/thread/snapshot.ts'
import { Threads } from '../../src/thread/threads.ts'
import { helloAgent } from '../support/threads.ts'

const RUNS = Number(process.env['AGUI_RUNS'] ?? 5000)
const MIB = 1024 * 1024

const directory = mkdtempSync(join(tmpdir(), 'agui-runner-test-'))
const storage = await LmdbStorage.open(directory, { retentionBytes: 1024 * MIB })
afterEach(async () => {
  await storage.close()
  rmSync(directory, { recursive: true })
})

/** Says one message; ten thousand real turns would take an hour and show nothing of the thread. */
const echo: AgentSession = {
  ...helloAgent(),
  async run({ runId }, { emit }) {
    await emit([
      { type: EventType.TEXT_MESSAGE_START, messageId: `said-${runId}`, role: 'assistant' },
      { type: EventType.TEXT_MESSAGE_CONTENT, messageId: `said-${runId}`, delta: 'hello' },
      { type: EventType.TEXT_MESSAGE_END, messageId: `said-${runId}` },
    ])
    return { outcome: 'success', usage: [{ provider: 'p', model: 'm', inputTokens: 1, outputTokens: 1 }] }
  },
}

test(`a thread of ${RUNS} runs costs as much per run at its end as at its beginning`, {
  timeout: 120_000,
}, async () => {
  let ended: (() => void) | undefined
  const threads = new Threads({
    agent: { open: () => echo },
    redactor: createRedactor({ values: [] }),
    storage,
    eventBytesMax: MIB,
    queueMax: 1,
    queueBytesMax: MIB,
    threadsMax: 1,
    disconnectGraceMs: 0,
    runTimeoutMs: 0,
    runIdleTimeoutMs: 0,
    onRunEnded: () => ended?.(),
    onLogFailure: (error) => {
      throw error
    },
  })
  const times: number[] = []
  for (let index = 0; index < RUNS; index++) {
    const started = performance.now()
    const end = new Promise<void>((resolve) => {
      ended = resolve
    })
    const messages = [{ id: `m-${index}`, role: 'user' as const, content: 'hi' }]
    await threads.submit({ threadId: 'long', runId: `run-${index}`, messages, tools: [], context: [] })
    await end
    times.push(performance.now() - started)
  }
  const median = (all: number[]): number => all.toSorted((a, b) => a - b)[Math.floor(all.length / 2)] ?? 0
  const [early, late] = [median(times.slice(RUNS * 0.05, RUNS * 0.25)), median(times.slice(-RUNS * 0.2))]
  console.log(`one run: ${early.toFixed(2)} ms early, ${late.toFixed(2)} ms late`)
  // A figure for a table would need a quiet machine; growth with the thread would be far beyond this.
  expect(late).toBeLessThan(early * 3)
  const [thread] = threads.list()
  expect(thread).toMatchObject({ lastSeq: RUNS * 5, usage: [{ inputTokens: RUNS, outputTokens: RUNS }] })
  const signal = new AbortController().signal
  const snapshot = await takeSnapshot(storage.log, { threadId: 'long', connectId: 'c', signal })
  expect(snapshot.events.find(({ type }) => type === EventType.MESSAGES_SNAPSHOT)).toMatchObject({
    messages: { length: RUNS * 2 },
  })
  await threads.close()
})
