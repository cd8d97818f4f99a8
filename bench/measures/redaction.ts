import { EventType } from '@ag-ui/core'
import type { AguiEvent } from '../../src/agui/event.ts'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { postRun } from '../support/client.ts'
import type { Measure, Row } from '../support/measure.ts'
import { compare, type Spread, spreadOf } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const DELTAS = 20_000
const KNOWN_SECRETS = 20
/** Of the time of the whole run. */
const SHARE_MAX = 0.05

const WORDS =
  'The quick brown fox, as github says, jumps in src/session/run.ts over a lazy dog; skim it. '.split(
    /(?<= )/,
  )
const TEXTS: Readonly<Record<string, (index: number) => string>> = {
  words: (index) => WORDS[index % WORDS.length] ?? '',
  'lines of code': (index) => `const value${index} = await read(path, 'utf8')\n`,
}

const BAIT = ['eyJ-', '://a:', 'sk-', '-----BEGIN PRIVATE KEY-----', 'abcabc', 'Bearer ', 'AKIA ', '\\']
const BAIT_CHARS = 100_000

export const redaction: Measure = {
  name: 'redaction',
  title: `Redaction: its share of a run of 20,000 deltas, ${KNOWN_SECRETS} known secrets`,
  run: measure,
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const repetitions = workshop.repetitions(20)
  const run = await timeOfRuns(workshop, Math.min(repetitions, 8))
  const values = Array.from({ length: KNOWN_SECRETS }, (_, index) => `${index}-${'Known'.repeat(8)}-${index}`)
  const redactor = createRedactor({ values })
  const rows = Object.entries(TEXTS).map(([what, textOf]): Row => {
    const deltas = Array.from({ length: DELTAS }, (_, index) => delta(textOf(index)))
    const times: number[] = []
    for (let round = -3; round < repetitions; round++) {
      const stream = redactor.createStream()
      const started = performance.now()
      for (const event of deltas) stream.redact(event)
      if (round >= 0) times.push(performance.now() - started)
    }
    const ours = spreadOf(times)
    const ratio = ours.median / run.median
    return {
      label: `taking secrets out of 20,000 deltas, ${what}`,
      unit: 'ms',
      ours,
      reference: run,
      against: 'the whole run, prompt to end',
      ratio,
      bestRatio: ours.min / run.min,
      target: `at most ${SHARE_MAX}`,
      pass: ratio <= SHARE_MAX,
    }
  })
  return [...rows, ...BAIT.map((bait) => slownessOf(bait, repetitions))]
}

/** A text made to be slow, against a sixteenth of it: a pattern that goes back over its text would show here. */
function slownessOf(bait: string, repetitions: number): Row {
  const { redactText } = createRedactor({ values: [] })
  const timesOf = (chars: number): Spread => {
    const text = bait.repeat(chars / bait.length)
    const times: number[] = []
    for (let round = -1; round < Math.min(repetitions, 5); round++) {
      const started = performance.now()
      redactText(text)
      if (round >= 0) times.push(performance.now() - started)
    }
    return spreadOf(times)
  }
  const [reference, ours] = [timesOf(BAIT_CHARS), timesOf(16 * BAIT_CHARS)]
  const ratios = compare({ ours, reference }, 'cost')
  return {
    label: `1.6 million characters of "${bait}"`,
    unit: 'ms',
    ours,
    reference,
    against: 'a sixteenth of it',
    ...ratios,
    target: 'in proportion: at most 64 times (256 were its square)',
    pass: ratios.bestRatio <= 64,
  }
}

async function timeOfRuns(workshop: Workshop, repetitions: number): Promise<Spread> {
  const runner = await workshop.runner()
  const times: number[] = []
  for (let round = -1; round < repetitions; round++) {
    const threadId = `redacted-${round}`
    await postRun(runner.url, { threadId, prompt: 'hello' })
    const { lastMs } = await postRun(runner.url, { threadId, prompt: `stream ${DELTAS}` })
    if (round >= 0) times.push(lastMs)
  }
  await runner.close()
  return spreadOf(times)
}

function delta(text: string): AguiEvent {
  return { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'message', delta: text }
}
