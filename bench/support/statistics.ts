export interface Spread {
  median: number
  min: number
  max: number
  count: number
}

export function spreadOf(values: readonly number[]): Spread {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted.length / 2
  const median =
    ((sorted[Math.ceil(middle) - 1] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2
  return {
    median,
    min: sorted[0] ?? Number.NaN,
    max: sorted.at(-1) ?? Number.NaN,
    count: sorted.length,
  }
}

export interface Pair {
  ours: Spread
  reference: Spread
  /** Of another reference, where there is one. */
  second?: Spread
}

export interface Sides {
  ours(): Promise<number>
  reference(): Promise<number>
  second?(): Promise<number>
}

/** Takes turns, and turns about who goes first, so that what else the machine does hits all alike. */
export async function interleave(repetitions: number, sides: Sides): Promise<Pair> {
  const ours: number[] = []
  const reference: number[] = []
  const second: number[] = []
  for (let index = 0; index < repetitions; index++) {
    if (index % 2 === 1) reference.push(await sides.reference())
    ours.push(await sides.ours())
    if (index % 2 === 0) reference.push(await sides.reference())
    if (sides.second !== undefined) second.push(await sides.second())
  }
  const pair = { ours: spreadOf(ours), reference: spreadOf(reference) }
  return second.length === 0 ? pair : { ...pair, second: spreadOf(second) }
}

/**
 * How the medians compare, and how the best of both do: what else the machine does only ever adds time, so the best
 * are the figures it disturbed least.
 *
 * @param kind `cost`: a time or a size as a multiple of the reference's; `speed`: the same time turned over, as a share
 * of the reference's speed; `rate`: events a second as a share of the reference's.
 */
export function compare(
  { ours, reference }: Pair,
  kind: 'cost' | 'speed' | 'rate',
): { ratio: number; bestRatio: number } {
  if (kind === 'rate') return { ratio: ours.median / reference.median, bestRatio: ours.max / reference.max }
  const [ratio, bestRatio] = [ours.median / reference.median, ours.min / reference.min]
  return kind === 'cost' ? { ratio, bestRatio } : { ratio: 1 / ratio, bestRatio: 1 / bestRatio }
}
