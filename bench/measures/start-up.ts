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
  title: 'Start to /health 200 (node dist/main.js serve; --against another build)',
  run: measure,
}

interface Start {
  ms: number
  processorMs: number
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const { againstMain } = workshop
  const sides: { name: string; open: () => Promise<RunnerHandle>; starts: Start[] }[] = [
    { name: 'a bare Fastify', open: () => workshop.bareServer('Fastify'), starts: [] },
    { name: 'a bare node:http', open: () => workshop.bareServer('node:http'), starts: [] },
  ]
  if (againstMain !== undefined)
    sides.push({ name: 'the other build', open: () => workshop.runner({ main: againstMain }), starts: [] })
  const ours: Start[] = []
  const node: number[] = []
  for (let round = 0; round <= workshop.repetitions(16); round++) {
    // The first round fills the page cache.
    const keep = <Taken>(list: Taken[], taken: Taken): void => {
      if (round > 0) list.push(taken)
    }
    keep(ours, await startToHealth(() => workshop.runner()))
    for (const { open, starts } of sides) keep(starts, await startToHealth(open))
    keep(node, await emptyMs(workshop))
  }
  const rowOf = (label: string, figure: keyof Start, { name, starts }: (typeof sides)[number]): Row => {
    const of = (taken: Start[]) => spreadOf(taken.map((start) => start[figure]))
    const pair = { ours: of(ours), reference: of(starts) }
    return { label, unit: 'ms', ...pair, against: name, ...compare(pair, 'cost') }
  }
  const rows = sides.flatMap((side) => [
    rowOf('spawn to /health 200', 'ms', side),
    rowOf('processor time of it', 'processorMs', side),
  ])
  const [judged] = rows
  const isWithin = (judged?.ratio ?? Number.NaN) <= RATIO_MAX
  return [
    ...rows.map((row) =>
      row === judged ? { ...row, target: `at most ${RATIO_MAX} times`, pass: isWithin } : row,
    ),
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
