import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { freePort } from '../../test/support/ports.ts'
import { untilHealthy } from '../support/client.ts'
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
  /** To the answer of `/health`. */
  ms: number
  /** To the line that says that it listens: what follows is served at once. */
  readyMs: number
  /** Processor time that it has used by then. */
  processorMs: number
}

type Open = (variables: Record<string, string>) => Promise<RunnerHandle>

async function measure(workshop: Workshop): Promise<Row[]> {
  const { againstMain } = workshop
  const sides: { name: string; open: Open; starts: Start[] }[] = [
    { name: 'a bare Fastify', open: (env) => workshop.bareServer('Fastify', env), starts: [] },
    { name: 'a bare node:http', open: (env) => workshop.bareServer('node:http', env), starts: [] },
  ]
  if (againstMain !== undefined)
    sides.push({
      name: 'the other build',
      open: (env) => workshop.runner({ main: againstMain, env }),
      starts: [],
    })
  const ours: Start[] = []
  const node: number[] = []
  for (let round = 0; round <= workshop.repetitions(16); round++) {
    // The first round fills the page cache.
    const keep = <Taken>(list: Taken[], taken: Taken): void => {
      if (round > 0) list.push(taken)
    }
    keep(ours, await startToHealth((env) => workshop.runner({ env })))
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
    rowOf('spawn to the line "listening"', 'readyMs', side),
    rowOf('processor time of that', 'processorMs', side),
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

/** Asked until there is an answer, as who waits for a server does: its address is known before it listens. */
async function startToHealth(open: Open): Promise<Start> {
  const port = await freePort()
  const start = performance.now()
  const opening = open({ AGUI_PORT: String(port) })
  const asking = new AbortController()
  try {
    const [ms, [server, readyMs]] = await Promise.all([
      untilHealthy(`http://127.0.0.1:${port}/health`, asking.signal).then(() => performance.now() - start),
      opening.then((opened) => [opened, performance.now() - start] as const),
    ])
    const taken = { ms, readyMs, processorMs: cpuMs(server.pid) }
    await server.close()
    return taken
  } finally {
    asking.abort()
  }
}

async function emptyMs(workshop: Workshop): Promise<number> {
  const env = workshop.environment(workshop.folder())
  const start = performance.now()
  const child = spawn(process.execPath, ['-e', '0'], { env, stdio: 'ignore' })
  await once(child, 'exit')
  return performance.now() - start
}
