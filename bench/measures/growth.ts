import { EventType } from '@ag-ui/core'
import { LmdbStorage } from '../../src/storage/lmdb/lmdb-storage.ts'
import { putFacts } from '../../src/thread/thread-table.ts'
import { postRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { cpuMs } from '../support/proc.ts'
import { compare, type Spread, spreadOf } from '../support/statistics.ts'
import type { RunnerHandle, Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const CHANGE_MAX = 0.1
const BATCH_EVENTS = 50
/** Threads and records of each; the threads that are measured have `history` records. */
const BASE = { threads: 20, records: 500, history: 10_000 }
const SIZES = {
  base: BASE,
  threads: { ...BASE, threads: 10 * BASE.threads },
  history: { ...BASE, history: 10 * BASE.history },
}
type Size = keyof typeof SIZES

export const growth: Measure = {
  name: 'growth',
  title: 'Growth: a run of 20,000 deltas on 10× threads, 10× history',
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const rounds = workshop.repetitions(8)
  const names: Size[] = ['base', 'threads', 'history']
  const runners = new Map<Size, RunnerHandle>()
  for (const name of names) {
    const state = workshop.folder()
    await seed(`${workshop.environment(state)['RUNNER_STATE_DIR']}/store`, SIZES[name], rounds + 1)
    runners.set(name, await workshop.runner({ state }))
  }
  const times: Record<Size, number[]> = { base: [], threads: [], history: [] }
  const cpu: Record<Size, number[]> = { base: [], threads: [], history: [] }
  for (let round = 0; round <= rounds; round++) {
    for (const name of round % 2 === 0 ? names : names.toReversed()) {
      const runner = runners.get(name)
      if (runner === undefined) continue
      const threadId = `measured-${round}`
      await postRun(runner.url, { threadId, prompt: 'hello' })
      const before = cpuMs(runner.pid)
      const { endMs, deltas } = await postRun(runner.url, { threadId, prompt: `stream ${DELTAS}` })
      const used = cpuMs(runner.pid) - before
      await fetch(`${runner.url}/sessions/${threadId}`, { method: 'DELETE' })
      if (round === 0) continue
      times[name].push((endMs / deltas) * 1000)
      cpu[name].push((used / deltas) * 1000)
    }
  }
  for (const runner of runners.values()) await runner.close()
  const row = (label: string, figures: Record<Size, number[]>, name: Size): Row =>
    toRow(label, spreadOf(figures[name]), spreadOf(figures.base))
  return [
    row("10× threads: the server's processor time an event", cpu, 'threads'),
    row("10× history: the server's processor time an event", cpu, 'history'),
    row('10× threads: wall clock an event', times, 'threads'),
    row('10× history: wall clock an event', times, 'history'),
  ]
}

function toRow(label: string, ours: Spread, reference: Spread): Row {
  const ratios = compare({ ours, reference }, 'cost')
  return {
    label,
    unit: 'µs',
    ours,
    reference,
    against: `${BASE.threads} threads, ${BASE.history} records`,
    ...ratios,
    target: 'at most 10 % more',
    pass: ratios.ratio <= 1 + CHANGE_MAX,
  }
}

/** A state folder as earlier runs would have left it. */
async function seed(
  directory: string,
  size: { threads: number; records: number; history: number },
  measured: number,
): Promise<void> {
  const storage = await LmdbStorage.open(directory, { retentionBytes: 1024 ** 3 })
  const add = async (threadId: string, records: number): Promise<void> => {
    const now = Date.now()
    const facts = { createdAt: now, updatedAt: now, lastOutcome: 'success', memory: {} } as const
    const writes: Promise<unknown>[] = [
      storage.commit({ threadId, writes: [putFacts(threadId, { ...facts, usage: [] })] }),
    ]
    for (let at = 0; at < records; at += BATCH_EVENTS) {
      const events = Array.from({ length: Math.min(BATCH_EVENTS, records - at) }, (_, index) => ({
        type: EventType.TEXT_MESSAGE_CONTENT as const,
        messageId: 'msg_0123456789abcdef01234567',
        delta: `${at + index} `,
      }))
      writes.push(storage.commit({ threadId, append: { runId: `run-${at}`, events } }))
    }
    await Promise.all(writes)
  }
  for (let index = 0; index < size.threads; index++) await add(`other-${index}`, size.records)
  for (let index = 0; index < measured; index++) await add(`measured-${index}`, size.history)
  await storage.close()
}
