import { z } from 'zod'

interface Range {
  min?: number
  max?: number
}

const DECIMAL = /^(?:0|-?[1-9]\d*)$/

/**
 * Returns the whole number that a text spells, and undefined when it spells none or one out of range. Only canonical
 * decimal digits count. `1e3`, `0x10`, `+1`, ` 1`, `01` and an empty text are refused, because parsers differ on them.
 */
export function toWholeNumber(
  text: string,
  { min = 0, max = Number.MAX_SAFE_INTEGER }: Range = {},
): number | undefined {
  const number = DECIMAL.test(text) ? Number(text) : Number.NaN
  return number >= min && number <= max ? number : undefined
}

/** Returns the schema of such a number. `unit` is for the message. */
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
