import { setTimeout as sleep } from 'node:timers/promises'
import { readBytes, send } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { residentMib } from '../support/proc.ts'
import { compare, spreadOf } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

/** As a multiple of a bare node:http. */
const RATIO_MAX = 1.6
/** V8 gives back what the start took when nothing has happened for eight seconds. */
const SETTLE_MS = 20_000

export const idleMemory: Measure = {
  name: 'idle-memory',
  title: 'Server memory, idle (RSS of node dist/main.js serve)',
  run: measure,
}

interface Resident {
  healthy: number[]
  idle: number[]
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runners: RunnerHandle[] = []
  const bare: RunnerHandle[] = []
  for (let round = 0; round < workshop.repetitions(8); round++) {
    runners.push(await workshop.runner())
    bare.push(await workshop.bareServer('node:http'))
  }
  const [ours, reference] = [await residentOf(runners), await residentOf(bare)]
  await sleep(SETTLE_MS)
  ours.idle.push(...runners.map(({ pid }) => residentMib(pid)))
  reference.idle.push(...bare.map(({ pid }) => residentMib(pid)))
  for (const server of [...runners, ...bare]) await server.close()
  const settled = rowOf(`${SETTLE_MS / 1000} s later`, ours.idle, reference.idle)
  return [
    rowOf('after the first health request', ours.healthy, reference.healthy),
    { ...settled, target: `at most ${RATIO_MAX} times`, pass: (settled.ratio ?? Number.NaN) <= RATIO_MAX },
  ]
}

async function residentOf(servers: readonly RunnerHandle[]): Promise<Resident> {
  const healthy: number[] = []
  for (const { url, pid } of servers) {
    await readBytes(await send(`${url}/health`))
    healthy.push(residentMib(pid))
  }
  return { healthy, idle: [] }
}

function rowOf(label: string, ours: readonly number[], reference: readonly number[]): Row {
  const pair = { ours: spreadOf(ours), reference: spreadOf(reference) }
  return { label, unit: 'MiB', ...pair, against: 'a bare node:http', ...compare(pair, 'cost') }
}
