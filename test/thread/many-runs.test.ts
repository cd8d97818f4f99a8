// What a thread of many runs comes to. What a run costs at its end: `npm run bench long-thread`.
import { EventType } from '@ag-ui/core'
import { expect, test } from 'vitest'
import type { AgentSession } from '../../src/agent/agent.ts'
import { takeSnapshot } from '../../src/thread/snapshot.ts'
import { helloAgent, lookAtNone, ThreadsWorld } from '../support/threads.ts'

const RUNS = Number(process.env['AGUI_RUNS'] ?? 100)

/** Says one message, and what it cost. */
const counted: AgentSession = {
  ...helloAgent(),
  async run(request, context) {
    await helloAgent().run(request, context)
    return { outcome: 'success', usage: [{ provider: 'p', model: 'm', inputTokens: 1, outputTokens: 1 }] }
  },
}

test(`a thread of ${RUNS} runs has every record, every message and the sum of what they cost`, {
  timeout: 120_000,
}, async () => {
  const world = await ThreadsWorld.open({ agent: { open: () => counted, look: lookAtNone } })
  try {
    for (let index = 0; index < RUNS; index++) {
      const messages = [{ id: `m-${index}`, role: 'user' as const, content: 'hi' }]
      const runId = `run-${index}`
      await world.threads.submit({ threadId: 'long', runId, messages, tools: [], context: [] })
      await world.ended(runId)
    }
    const [thread] = world.threads.list()
    expect(thread).toMatchObject({
      lastSeq: RUNS * 5,
      usage: [{ inputTokens: RUNS, outputTokens: RUNS }],
    })
    const { signal } = new AbortController()
    const snapshot = await takeSnapshot(world.log, { threadId: 'long', connectId: 'c', signal })
    expect(snapshot.events.find(({ type }) => type === EventType.MESSAGES_SNAPSHOT)).toMatchObject({
      messages: { length: RUNS * 2 },
    })
  } finally {
    await world.close()
  }
})
