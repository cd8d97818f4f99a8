/** A whole number from 0 to below. */
export type Random = (below: number) => number

/** The same numbers again for the same seed. */
export function createRandom(seed: number): Random {
  let state = seed
  return (below) => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
