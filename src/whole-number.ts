import { z } from 'zod'

interface Range {
  min?: number
  max?: number
}

const DECIMAL = /^(?:0|-?[1-9]\d*)$/

/**
 * A whole number as every door takes it in a text: decimal digits in their one spelling. `1e3`, `0x10`, `+1`, ` 1`, `01` and
 * nothing at all are no numbers: readers differ on what they stand for, and nothing is not zero.
 */
export function toWholeNumber(
  text: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Range = {},
): number | undefined {
  const number = DECIMAL.test(text) ? Number(text) : Number.NaN
  return number >= min && number <= max ? number : undefined
}

/** The same as a field of a schema. The unit is for the message. */
export function wholeNumber({
  min = 0,
  max = Number.MAX_SAFE_INTEGER,
  unit = '',
}: Range & { unit?: string } = {}) {
  const form = `must be a whole number of ${unit === '' ? 'at least' : `${unit}, at least`} ${min}${max === Number.MAX_SAFE_INTEGER ? '' : ` and at most ${max}`}`
  const read = (text: unknown): unknown =>
    typeof text === 'string' ? (toWholeNumber(text, { min, max }) ?? text) : text
  return z.preprocess(read, z.number(form).int(form).min(min, form).max(max, form))
}
