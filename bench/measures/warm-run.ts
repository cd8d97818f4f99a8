import { postRun } from '../support/client.ts'
import { besideGated, type Measure, type Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const OVERHEAD_MS_MAX = 2

export const warmRun: Measure = {
  name: 'warm-run',
  title: 'Warm run: POST to the first TEXT_MESSAGE_CONTENT',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner()
  const cli = await workshop.bareCli()
  const ours = async (): Promise<number> =>
    (await postRun(runner.url, { threadId: 'warm', prompt: 'hello' })).firstMs
  const gated = await workshop.bareCli()
  await gated.initializeGated()
  const sides = {
    ours,
    reference: async () => (await cli.turn('hello')).firstMs,
    second: async () => (await gated.turn('hello')).firstMs,
  }
  // The first two turns of a process are not warm yet.
  await interleave(2, sides)
  const pair = await interleave(workshop.repetitions(40), sides)
  await Promise.all([runner.close(), cli.close(), gated.close()])
  return [
    {
      label: 'first text delta',
      unit: 'ms',
      ...pair,
      against: 'bare CLI, warm',
      ...compare(pair, 'cost'),
      target: `at most ${OVERHEAD_MS_MAX} ms more`,
      pass: pair.ours.median - pair.reference.median <= OVERHEAD_MS_MAX,
    },
    ...besideGated(pair),
  ]
}
