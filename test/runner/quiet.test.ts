import { constants, PerformanceObserver } from 'node:perf_hooks'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { runEnded, runStarted } from '../../src/channels.ts'
import { collectWhenQuiet } from '../../src/runner/quiet.ts'

const Gc = z.object({ kind: z.number() })

/** Resolves at the next collection of the whole heap, which an idle process has no cause for. */
function collected(): Promise<void> {
  return new Promise((resolve) => {
    const observer = new PerformanceObserver((list) => {
      const details = list.getEntries().map((entry) => z.object({ detail: Gc }).parse(entry).detail)
      if (details.every(({ kind }) => kind !== constants.NODE_PERFORMANCE_GC_MAJOR)) return
      observer.disconnect()
      resolve()
    })
    observer.observe({ entryTypes: ['gc'] })
  })
}

const start = (runId: string): void => runStarted.publish({ threadId: 't', runId, at: Date.now(), trace: {} })
const end = (runId: string): void =>
  runEnded.publish({ threadId: 't', runId, outcome: 'success', ms: 1, usage: [] })

test('garbage is collected after the start and when the last run has ended, each time', async () => {
  const afterStart = collected()
  const close = collectWhenQuiet(1)
  await afterStart
  for (const round of ['first', 'second']) {
    start(`${round}-a`)
    start(`${round}-b`)
    const done = collected()
    end(`${round}-a`)
    end(`${round}-b`)
    await done
  }
  close()
  expect(runStarted.hasSubscribers || runEnded.hasSubscribers).toBe(false)
})
