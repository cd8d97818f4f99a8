import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import { readBytes, send } from '../support/client.ts'
import type { Load } from '../support/load-process.ts'
import type { Measure, Row } from '../support/measure.ts'
import { anonymousMib } from '../support/proc.ts'
import type { Workshop } from '../support/workshop.ts'

const LOAD = { threads: 8, readers: 40, stayMs: 500 }
const LOADED_MS = 30_000
/** As in `idle-memory`. */
const SETTLE_MS = 20_000
const LATER_MS = 60_000
/** As a multiple of the memory before the load. */
const RATIO_MAX = 1.3

export const memoryAfterLoad: Measure = {
  name: 'memory-after-load',
  title: `Server memory a minute after ${LOADED_MS / 1000} s of ${LOAD.threads} threads at full speed and ${LOAD.readers} readers (anonymous RSS)`,
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner()
  await readBytes(await send(`${runner.url}/health`))
  await sleep(SETTLE_MS)
  const before = anonymousMib(runner.pid)
  const generator = workshop.child(new URL('../support/load-process.ts', import.meta.url))
  const load: Load = { url: runner.url, ...LOAD }
  generator.send(load)
  await once(generator, 'message')
  await sleep(workshop.isQuick ? LOADED_MS / 3 : LOADED_MS)
  const during = anonymousMib(runner.pid)
  generator.disconnect()
  await once(generator, 'exit')
  await sleep(LATER_MS)
  const after = anonymousMib(runner.pid)
  await runner.close()
  const ratio = after / before
  const target = `at most ${RATIO_MAX} times`
  return [
    { label: 'under the load', unit: 'MiB', ours: during },
    {
      ...{ label: 'a minute later', unit: 'MiB', ours: after, reference: before },
      ...{ against: 'before the load', ratio, target, pass: ratio <= RATIO_MAX },
    },
  ]
}
