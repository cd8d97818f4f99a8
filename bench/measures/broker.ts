import { once } from 'node:events'
import type { Measure, Row } from '../support/measure.ts'
import { compare, interleave } from '../support/statistics.ts'
import type { Workshop } from '../support/workshop.ts'

const FRAMES = 20_000
const FIRST_MS_MAX = 1
const RATE_MIN = 0.9

export const broker: Measure = {
  name: 'broker',
  title: 'The broker that holds the key, between the agent and its model',
  run: measure,
}

interface Listening {
  url: string
  token: string
}

async function measure(workshop: Workshop): Promise<Row[]> {
  const start = async (...args: string[]): Promise<Listening> => {
    const child = workshop.child(new URL('../support/stream-process.ts', import.meta.url), args)
    const [listening]: Listening[] = await once(child, 'message')
    if (listening === undefined) throw new Error('a process of the measure said nothing')
    return listening
  }
  const direct = await start('upstream')
  const brokered = await start('broker', direct.url)
  const first = (side: Listening) => async () => (await ask(side, 1)).firstMs
  const rate = (side: Listening) => async () => (FRAMES * 1000) / (await ask(side, FRAMES)).totalMs
  const sides = (of: typeof first) => ({ ours: of(brokered), reference: of(direct) })
  await interleave(50, sides(first))
  const small = await interleave(workshop.repetitions(300), sides(first))
  await interleave(5, sides(rate))
  const large = await interleave(workshop.repetitions(30), sides(rate))
  const against = 'the same without it'
  const ratios = compare(large, 'rate')
  return [
    {
      ...{ label: 'first byte of an answer', unit: 'ms', against, ...small, ...compare(small, 'cost') },
      target: `at most ${FIRST_MS_MAX} ms more`,
      pass: small.ours.median - small.reference.median <= FIRST_MS_MAX,
    },
    {
      ...{ label: `${FRAMES} frames, one write each`, unit: '/s', against, ...large, ...ratios },
      target: `at least ${RATE_MIN}`,
      pass: ratios.ratio >= RATE_MIN,
    },
  ]
}

async function ask({ url, token }: Listening, frames: number): Promise<{ firstMs: number; totalMs: number }> {
  const began = performance.now()
  const answer = await fetch(`${url}/v1/messages`, {
    method: 'POST',
    body: JSON.stringify(frames),
    headers: { 'content-type': 'application/json', ...(token !== '' && { 'x-api-key': token }) },
  })
  let firstMs: number | undefined
  let bytes = 0
  for await (const piece of answer.body ?? []) {
    firstMs ??= performance.now() - began
    bytes += piece.length
  }
  if (bytes < frames * 50) throw new Error(`${bytes} bytes for ${frames} frames`)
  return { firstMs: firstMs ?? Number.NaN, totalMs: performance.now() - began }
}
