import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readBytes, send } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { cpuMs } from '../support/proc.ts'
import { compare, spreadOf } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

/** As a multiple of a bare Fastify's start. */
const RATIO_MAX = 1.3

export const startUp: Measure = {
  name: 'start-up',
  title: 'Start to /health 200 (node dist/main.js serve)',
  run: measure,
}

interface Start {
  ms: number
  processorMs: number
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const sides = {
    ours: () => workshop.runner(),
    fastify: () => workshop.bareServer('Fastify'),
    http: () => workshop.bareServer('node:http'),
  }
  const starts: Record<keyof typeof sides, Start[]> = { ours: [], fastify: [], http: [] }
  const node: number[] = []
  for (let round = 0; round <= workshop.repetitions(16); round++) {
    const taken = {
      ours: await startToHealth(sides.ours),
      fastify: await startToHealth(sides.fastify),
      http: await startToHealth(sides.http),
    }
    const empty = await emptyMs(workshop)
    // The first round fills the page cache.
    if (round === 0) continue
    starts.ours.push(taken.ours)
    starts.fastify.push(taken.fastify)
    starts.http.push(taken.http)
    node.push(empty)
  }
  const row = (label: string, figure: keyof Start, against: 'fastify' | 'http'): Row => {
    const of = (side: keyof typeof sides) => spreadOf(starts[side].map((start) => start[figure]))
    const pair = { ours: of('ours'), reference: of(against) }
    const name = against === 'fastify' ? 'a bare Fastify' : 'a bare node:http'
    return { label, unit: 'ms', ...pair, against: name, ...compare(pair, 'cost') }
  }
  const judged = row('spawn to /health 200', 'ms', 'fastify')
  return [
    { ...judged, target: `at most ${RATIO_MAX} times`, pass: (judged.ratio ?? Number.NaN) <= RATIO_MAX },
    row('the same', 'ms', 'http'),
    row('processor time of it', 'processorMs', 'fastify'),
    { label: 'of it Node itself (node -e 0)', unit: 'ms', ours: spreadOf(node) },
  ]
}

/** Asked as soon as it says that it listens: polling would take the processor from what is measured. */
async function startToHealth(open: () => Promise<RunnerHandle>): Promise<Start> {
  const start = performance.now()
  const server = await open()
  await readBytes(await send(`${server.url}/health`))
  const taken = { ms: performance.now() - start, processorMs: cpuMs(server.pid) }
  await server.close()
  return taken
}

async function emptyMs(workshop: Workshop): Promise<number> {
  const env = workshop.environment(workshop.folder())
  const start = performance.now()
  const child = spawn(process.execPath, ['-e', '0'], { env, stdio: 'ignore' })
  await once(child, 'exit')
  return performance.now() - start
}
