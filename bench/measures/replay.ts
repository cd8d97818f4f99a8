import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { postRun, readBytes, send } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { PlainServer } from '../support/plain-server.ts'
import { Readers } from '../support/readers.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const RECORDS = 100_000
const SHARE_MIN = 0.5

export const replay: Measure = {
  name: 'replay',
  title: 'Replay of 100,000 records',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const state = workshop.folder()
  const recording = await workshop.runner({ state })
  await postRun(recording.url, { threadId: 'long', prompt: `stream ${RECORDS}` })
  await recording.close()
  // A new process on the same folder: nothing of it is in memory.
  const runner = await workshop.runner({ state })
  const url = `${runner.url}/sessions/long/events?after=0&follow=false`
  const bytes = await readBytes(await send(url))
  const file = join(workshop.folder(), 'records')
  writeFileSync(file, bytes)
  const plain = await PlainServer.start(workshop)
  await plain.serve(file)
  const readers = new Readers(workshop)
  const read = async (from: string): Promise<number> => {
    const start = performance.now()
    const { done } = await readers.connect(from, 1)
    const { deltas } = await done
    if (deltas[0] !== RECORDS) throw new Error(`${deltas[0]} of ${RECORDS} records came`)
    return performance.now() - start
  }
  const pair = await interleave(workshop.repetitions(20), {
    ours: () => read(url),
    reference: () => read(`${plain.url}/file`),
  })
  await runner.close()
  const ratios = compare(pair, 'speed')
  return [
    {
      label: `${RECORDS} records, ${(bytes.length / 1e6).toFixed(1)} MB`,
      unit: 'ms',
      ...pair,
      against: 'node:http, the same bytes from a file',
      ...ratios,
      target: `at least ${SHARE_MIN} of its speed`,
      pass: ratios.ratio >= SHARE_MIN,
    },
  ]
}
