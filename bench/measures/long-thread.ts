import { ThreadsWorld } from '../../test/support/threads.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const RUNS = 5000
const CHANGE_MAX = 0.25

export const longThread: Measure = {
  name: 'long-thread',
  title: `Long thread: a run at the end of a thread of ${RUNS} runs`,
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runs = workshop.isQuick ? RUNS / 10 : RUNS
  const world = await ThreadsWorld.open()
  const times: number[] = []
  for (let index = 0; index < runs; index++) {
    const started = performance.now()
    const runId = `run-${index}`
    const messages = [{ id: `m-${index}`, role: 'user' as const, content: 'hi' }]
    await world.threads.submit({ threadId: 'long', runId, messages, tools: [], context: [] })
    await world.ended(runId)
    times.push(performance.now() - started)
  }
  await world.close()
  const fifth = runs / 5
  const [reference, ours] = [spreadOf(times.slice(fifth / 4, fifth)), spreadOf(times.slice(-fifth))]
  const ratios = compare({ ours, reference }, 'cost')
  return [
    {
      label: `a run that says hello, in the last fifth of ${runs}`,
      unit: 'ms',
      ours,
      reference,
      against: 'in the first fifth',
      ...ratios,
      target: 'at most 25 % more',
      pass: ratios.ratio <= 1 + CHANGE_MAX,
    },
  ]
}
