import { setTimeout as sleep } from 'node:timers/promises'
import { postRun, readJson, send } from '../support/client.ts'
import { besideGated, type Measure, type Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const OVERHEAD_MS_MAX = 3
/** Both sides stand ready for so long before they are asked. */
const SETTLE_MS = 1500
const POLL_MS = 20
const POLLS_MAX = 500

export const warmedThread: Measure = {
  name: 'warmed-thread',
  title: 'First run of the thread that SESSION_ID warms',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const ours = async (): Promise<number> => {
    const runner = await workshop.runner({ env: { SESSION_ID: 'sandbox' } })
    await untilWarm(runner.url)
    await sleep(SETTLE_MS)
    const { firstMs } = await postRun(runner.url, { threadId: 'sandbox', prompt: 'hello' })
    await runner.close()
    return firstMs
  }
  const reference = async (isGated = false): Promise<number> => {
    const cli = await workshop.bareCli()
    await (isGated ? cli.initializeGated() : cli.initialize())
    await sleep(SETTLE_MS)
    const { firstMs } = await cli.turn('hello')
    await cli.close()
    return firstMs
  }
  const pair = await interleave(workshop.repetitions(6), {
    ours,
    reference,
    second: () => reference(true),
  })
  return [
    {
      label: 'first text delta',
      unit: 'ms',
      ...pair,
      against: 'bare CLI, initialized, before its first turn',
      ...compare(pair, 'cost'),
      target: `at most ${OVERHEAD_MS_MAX} ms more`,
      pass: pair.ours.median - pair.reference.median <= OVERHEAD_MS_MAX,
    },
    ...besideGated(pair),
  ]
}

async function untilWarm(url: string): Promise<void> {
  for (let poll = 0; poll < POLLS_MAX; poll++) {
    const body = await readJson(await send(`${url}/sessions`))
    if (JSON.stringify(body).includes('"warm":true')) return
    await sleep(POLL_MS)
  }
  throw new Error('the thread did not become warm')
}
