import { postRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const SHARE_MIN = 0.95

export const throughput: Measure = {
  name: 'throughput',
  title: '20,000 deltas, one SSE reader, logged',
  run: measure,
}

/** Both sides on a process that had one turn; prompt to the last delta, so that what is held back counts too. */
async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner()
  const prompt = `stream ${DELTAS}`
  let threads = 0
  const ours = async (): Promise<number> => {
    const threadId = `stream-${threads++}`
    await postRun(runner.url, { threadId, prompt: 'hello' })
    const { lastMs, deltas } = await postRun(runner.url, { threadId, prompt })
    await fetch(`${runner.url}/sessions/${threadId}`, { method: 'DELETE' })
    return perSecond(deltas, lastMs)
  }
  const reference = async (): Promise<number> => {
    const cli = await workshop.bareCli()
    await cli.turn('hello')
    const { lastMs, deltas } = await cli.turn(prompt)
    await cli.close()
    return perSecond(deltas, lastMs)
  }
  await interleave(1, { ours, reference })
  const pair = await interleave(workshop.repetitions(12), { ours, reference })
  await runner.close()
  const ratios = compare(pair, 'rate')
  return [
    {
      label: 'events a second',
      unit: '/s',
      ...pair,
      against: 'bare CLI, own stdout parsed',
      ...ratios,
      target: `at least ${SHARE_MIN}`,
      pass: ratios.ratio >= SHARE_MIN,
    },
  ]
}

function perSecond(deltas: number, ms: number): number {
  if (deltas !== DELTAS) throw new Error(`${deltas} of ${DELTAS} deltas came`)
  return (deltas / ms) * 1000
}
