import { postRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { cpuMs } from '../support/proc.ts'
import { compare, interleave, spreadOf } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const SHARE_MAX = 0.5

export const cpuPerEvent: Measure = {
  name: 'cpu-per-event',
  title: "The server's processor time an event: 20,000 deltas, one reader, logged (--against another build)",
  run: measure,
}

/** All threads, user and system. On a busy machine look at the best: what runs beside it only adds, by cold caches. */
async function measure(workshop: Workshop): Promise<Row[]> {
  const { againstMain } = workshop
  const ours = await side(await workshop.runner())
  const rounds = workshop.repetitions(12)
  if (againstMain === undefined) {
    const figures: number[] = []
    for (let round = 0; round < rounds; round++) figures.push(await ours())
    return [{ label: 'processor time an event', unit: 'µs', ours: spreadOf(figures) }]
  }
  const reference = await side(await workshop.runner({ main: againstMain }))
  const pair = await interleave(rounds, { ours, reference })
  const ratios = compare(pair, 'cost')
  return [
    {
      label: 'processor time an event',
      unit: 'µs',
      ...pair,
      against: 'the other build',
      ...ratios,
      target: `at most ${SHARE_MAX}`,
      pass: ratios.ratio <= SHARE_MAX,
    },
  ]
}

/** Each round on a thread whose process had one turn; the first round compiles. */
async function side({ url, pid }: RunnerHandle): Promise<() => Promise<number>> {
  let threads = 0
  const round = async (): Promise<number> => {
    const threadId = `costs-${threads++}`
    await postRun(url, { threadId, prompt: 'hello' })
    const before = cpuMs(pid)
    const { deltas } = await postRun(url, { threadId, prompt: `stream ${DELTAS}` })
    const used = cpuMs(pid) - before
    await fetch(`${url}/sessions/${threadId}`, { method: 'DELETE' })
    if (deltas !== DELTAS) throw new Error(`${deltas} of ${DELTAS} deltas came`)
    return (used / DELTAS) * 1000
  }
  await round()
  return round
}
