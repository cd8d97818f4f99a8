import { postRun } from '../support/client.ts'
import { besideGated, type Measure, type Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const OVERHEAD_MS_MAX = 10

export const coldRun: Measure = {
  name: 'cold-run',
  title: 'Cold run: POST on a new thread to the first TEXT_MESSAGE_CONTENT',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const runner = await workshop.runner({ env: { CLAUDE_PROCESSES_MAX: '100' } })
  let threads = 0
  const ours = async (): Promise<number> => {
    const threadId = `cold-${threads++}`
    const { firstMs } = await postRun(runner.url, { threadId, prompt: 'hello' })
    // Its process would otherwise idle beside the next ones.
    await fetch(`${runner.url}/sessions/${threadId}`, { method: 'DELETE' })
    return firstMs
  }
  const reference = async (isGated = false): Promise<number> => {
    const cli = await workshop.bareCli()
    if (isGated) await cli.initializeGated()
    const asked = performance.now()
    const { firstMs } = await cli.turn('hello')
    await cli.close()
    return asked - cli.startedAt + firstMs
  }
  // The server's very first start of Claude Code also loads the SDK.
  const first = await ours()
  await reference()
  const pair = await interleave(workshop.repetitions(14), {
    ours,
    reference,
    second: () => reference(true),
  })
  await runner.close()
  return [
    {
      label: 'first text delta',
      unit: 'ms',
      ...pair,
      against: 'bare CLI, spawn to first delta',
      ...compare(pair, 'cost'),
      target: `at most ${OVERHEAD_MS_MAX} ms more`,
      pass: pair.ours.median - pair.reference.median <= OVERHEAD_MS_MAX,
    },
    ...besideGated(pair),
    { label: 'the very first run of a server', unit: 'ms', ours: first },
  ]
}
