import { postRun, startRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { heldMib, PROBE_ARGUMENTS } from '../support/memory-probe.ts'
import { residentMib } from '../support/proc.ts'
import { Readers } from '../support/readers.ts'
import { compare, interleave, spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const READERS = 10
const STOPPED = 5
const DELTAS = 20_000
const SLOWER_MAX = 1.05
const MEMORY_MIB_MAX = 2

export const stoppedReader: Measure = {
  name: 'stopped-reader',
  title: `${READERS} readers, with and without ${STOPPED} more that stopped reading`,
  run: measure,
}

/** 13 MB a reader: more than the kernel takes for one that does not read. */
async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner({ nodeArguments: PROBE_ARGUMENTS, isForked: true })
  const readers = new Readers(workshop)
  let rounds = 0
  const round = async (stopped: number): Promise<{ ms: number; heldMib: number; residentMib: number }> => {
    const threadId = `stopped-${rounds++}`
    await postRun(runner.url, { threadId, prompt: 'hello' })
    const url = `${runner.url}/sessions/${threadId}/events?after=-1&until=run`
    const { done } = await readers.connect(url, READERS, stopped)
    const start = performance.now()
    await startRun(runner.url, { threadId, prompt: `wide ${DELTAS}` })
    const { deltas } = await done
    const ms = performance.now() - start
    if (deltas.some((count) => count !== DELTAS)) throw new Error(`delivered: ${deltas.join(' ')}`)
    // While those who stopped still hang there.
    const memory = { heldMib: await heldMib(runner), residentMib: residentMib(runner.pid) }
    readers.release()
    await fetch(`${runner.url}/sessions/${threadId}`, { method: 'DELETE' })
    return { ms, ...memory }
  }
  await round(STOPPED)
  const held: Record<'with' | 'without', number[]> = { with: [], without: [] }
  const resident: Record<'with' | 'without', number[]> = { with: [], without: [] }
  const side = (name: 'with' | 'without') => async (): Promise<number> => {
    const result = await round(name === 'with' ? STOPPED : 0)
    held[name].push(result.heldMib)
    resident[name].push(result.residentMib)
    return result.ms
  }
  const time = await interleave(workshop.repetitions(12), { ours: side('with'), reference: side('without') })
  await runner.close()
  const memory = { ours: spreadOf(held.with), reference: spreadOf(held.without) }
  const ratios = compare(time, 'cost')
  const against = 'the same without them'
  return [
    {
      label: 'all the others at their end',
      unit: 'ms',
      ...time,
      against,
      ...ratios,
      target: `at most ${SLOWER_MAX}`,
      pass: ratios.ratio <= SLOWER_MAX,
    },
    {
      label: 'memory held, garbage collected',
      unit: 'MiB',
      ...memory,
      against,
      ...compare(memory, 'cost'),
      target: `at most ${MEMORY_MIB_MAX} MiB more`,
      pass: memory.ours.median - memory.reference.median <= MEMORY_MIB_MAX,
    },
    {
      label: 'resident memory',
      unit: 'MiB',
      ours: spreadOf(resident.with),
      reference: spreadOf(resident.without),
      against,
    },
  ]
}
