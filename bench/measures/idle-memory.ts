import { setTimeout as sleep } from 'node:timers/promises'
import { readBytes, send } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { residentMib } from '../support/proc.ts'
import { spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const RESIDENT_MIB_MAX = 90
const SETTLE_MS = 1000

export const idleMemory: Measure = {
  name: 'idle-memory',
  title: 'Server memory, idle (RSS of node dist/main.js serve)',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const figures: Record<'listening' | 'healthy' | 'idle', number[]> = { listening: [], healthy: [], idle: [] }
  for (let round = 0; round < workshop.repetitions(8); round++) {
    const runner = await workshop.runner()
    figures.listening.push(residentMib(runner.pid))
    await readBytes(await send(`${runner.url}/health`))
    figures.healthy.push(residentMib(runner.pid))
    await sleep(SETTLE_MS)
    figures.idle.push(residentMib(runner.pid))
    await runner.close()
  }
  const target = `at most ${RESIDENT_MIB_MAX} MiB`
  return [
    { label: 'after the start', ours: figures.listening },
    { label: 'after the first health request', ours: figures.healthy },
    { label: `${SETTLE_MS} ms later`, ours: figures.idle },
  ].map(({ label, ours }) => {
    const spread = spreadOf(ours)
    return { label, unit: 'MiB', ours: spread, target, pass: spread.median <= RESIDENT_MIB_MAX }
  })
}
