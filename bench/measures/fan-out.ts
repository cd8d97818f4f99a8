import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { postRun, readBytes, send, startRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { PlainServer } from '../support/plain-server.ts'
import { type Delivery, Readers } from '../support/readers.ts'
import { compare, interleave, type Pair } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const READERS = 100
const DELTAS = 20_000
const SHARE_MIN = 0.95

export const fanOut: Measure = {
  name: 'fan-out',
  title: '100 readers × 20,000 events',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner()
  const plain = await PlainServer.start(workshop)
  const readers = new Readers(workshop)
  const delivered: number[] = []
  const check = ({ deltas }: Delivery): void => {
    delivered.push(deltas.reduce((sum, each) => sum + each, 0))
  }

  let threads = 0
  const prompt = `stream ${DELTAS}`
  const live = await interleave(workshop.repetitions(12), {
    async ours() {
      const threadId = `live-${threads++}`
      await postRun(runner.url, { threadId, prompt: 'hello' })
      const url = `${runner.url}/sessions/${threadId}/events?after=-1&until=run`
      const { done } = await readers.connect(url, READERS)
      const start = performance.now()
      await startRun(runner.url, { threadId, prompt })
      check(await done)
      const time = performance.now() - start
      await fetch(`${runner.url}/sessions/${threadId}`, { method: 'DELETE' })
      return time
    },
    async reference() {
      await plain.startCli(await workshop.launch())
      const { done } = await readers.connect(`${plain.url}/live`, READERS)
      const start = performance.now()
      await plain.prompt(prompt)
      check(await done)
      const time = performance.now() - start
      await plain.stopCli()
      return time
    },
  })

  await postRun(runner.url, { threadId: 'stored', prompt })
  const stored = `${runner.url}/sessions/stored/events?after=0&follow=false`
  const file = join(workshop.folder(), 'frames')
  writeFileSync(file, await readBytes(await send(stored)))
  await plain.serve(file)
  const all = async (url: string): Promise<number> => {
    const start = performance.now()
    const { done } = await readers.connect(url, READERS)
    check(await done)
    return performance.now() - start
  }
  const sides = { ours: () => all(stored), reference: () => all(`${plain.url}/memory`) }
  // The first round compiles, on both sides.
  await interleave(1, sides)
  const replay = await interleave(workshop.repetitions(12), sides)
  await runner.close()
  return [
    toRow('a run under way, all of it to all', live, 'node:http fed by the bare CLI'),
    toRow('a stored thread, all of it to all', replay, 'node:http, the same bytes from memory'),
    {
      label: 'delivered, the least of all rounds',
      unit: 'deltas',
      ours: Math.min(...delivered),
      target: `${READERS * DELTAS}`,
      pass: delivered.every((count) => count === READERS * DELTAS),
    },
  ]
}

function toRow(label: string, pair: Pair, against: string): Row {
  const ratios = compare(pair, 'speed')
  return {
    label,
    unit: 'ms',
    ...pair,
    against,
    ...ratios,
    target: `at least ${SHARE_MIN} of its speed`,
    pass: ratios.ratio >= SHARE_MIN,
  }
}
