import { once } from 'node:events'
import { Agent, get } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { askProbe, DELAY_ARGUMENTS } from '../support/delay-probe.ts'
import type { Load } from '../support/load-process.ts'
import type { Measure, Row } from '../support/measure.ts'
import { type Spread, spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const LOAD = { threads: 8, readers: 40, stayMs: 500 }
const LATER_MAX = 2
const DELAY_MS_MAX = 50
const PAUSE_MS = 50

export const doorUnderLoad: Measure = {
  name: 'door-under-load',
  title: `/health while ${LOAD.threads} threads run at full speed and ${LOAD.readers} readers come and go`,
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner({ nodeArguments: DELAY_ARGUMENTS, isForked: true })
  const generator = workshop.child(new URL('../support/load-process.ts', import.meta.url))
  const load: Load = { url: runner.url, ...LOAD }
  generator.send(load)
  await once(generator, 'message')
  const kept = new Agent({ keepAlive: true, maxSockets: 1 })
  const health = `${runner.url}/health`
  await timeOf(health, kept)
  await askProbe(runner)
  const times: Record<'fresh' | 'kept', number[]> = { fresh: [], kept: [] }
  for (let round = workshop.repetitions(120); round > 0; round--) {
    times.kept.push(await timeOf(health, kept))
    times.fresh.push(await timeOf(health, false))
    await delay(PAUSE_MS)
  }
  const p99 = await askProbe(runner)
  kept.destroy()
  generator.disconnect()
  await once(generator, 'exit')
  await runner.close()
  const [ours, reference] = [spreadOf(times.fresh), spreadOf(times.kept)]
  return [
    toRow('a new connection, median', ours, reference, ours.median / reference.median),
    toRow(
      'a new connection, p99',
      worst(times.fresh),
      worst(times.kept),
      worst(times.fresh) / worst(times.kept),
    ),
    {
      label: 'event-loop delay, p99',
      unit: 'ms',
      ours: p99,
      target: `at most ${DELAY_MS_MAX} ms`,
      pass: p99 <= DELAY_MS_MAX,
    },
  ]
}

function toRow(label: string, ours: Spread | number, reference: Spread | number, ratio: number): Row {
  return {
    label,
    unit: 'ms',
    ours,
    reference,
    against: 'a kept connection',
    ratio,
    target: `at most ${LATER_MAX} times the kept one's`,
    pass: ratio <= LATER_MAX,
  }
}

function worst(times: readonly number[]): number {
  return [...times].sort((a, b) => a - b)[Math.ceil(times.length * 0.99) - 1] ?? Number.NaN
}

function timeOf(url: string, agent: Agent | false): Promise<number> {
  const start = performance.now()
  return new Promise((resolve, reject) => {
    get(url, { agent }, (response) => {
      response.resume().once('end', () => resolve(performance.now() - start))
    }).once('error', reject)
  })
}
