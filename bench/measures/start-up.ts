import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readBytes, send } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const START_MS_MAX = 250

export const startUp: Measure = {
  name: 'start-up',
  title: 'Start to /health 200 (node dist/main.js serve)',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const figures: Record<'start' | 'node' | 'modules', number[]> = { start: [], node: [], modules: [] }
  for (let round = 0; round <= workshop.repetitions(16); round++) {
    const start = await startToHealth(workshop)
    const node = await nodeMs(workshop, ['-e', '0'])
    const loading = await nodeMs(workshop, [workshop.main, 'serve', '--help'])
    // The first round fills the page cache.
    if (round === 0) continue
    figures.start.push(start)
    figures.node.push(node)
    figures.modules.push(loading - node)
  }
  const start = spreadOf(figures.start)
  return [
    {
      label: 'spawn to /health 200',
      unit: 'ms',
      ours: start,
      target: `at most ${START_MS_MAX} ms`,
      pass: start.median <= START_MS_MAX,
    },
    { label: 'of it Node itself (node -e 0)', unit: 'ms', ours: spreadOf(figures.node) },
    { label: "of it loading serve's modules", unit: 'ms', ours: spreadOf(figures.modules) },
  ]
}

/** Asked as soon as it says that it listens: polling would take the processor from what is measured. */
async function startToHealth(workshop: Workshop): Promise<number> {
  const start = performance.now()
  const runner = await workshop.runner()
  await readBytes(await send(`${runner.url}/health`))
  const ms = performance.now() - start
  await runner.close()
  return ms
}

async function nodeMs(workshop: Workshop, words: readonly string[]): Promise<number> {
  const env = workshop.environment(workshop.folder())
  const start = performance.now()
  const child = spawn(process.execPath, words, { env, stdio: 'ignore' })
  await once(child, 'exit')
  return performance.now() - start
}
