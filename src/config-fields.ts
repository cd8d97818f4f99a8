import { z } from 'zod'
import { TIMER_MS_MAX } from './timer-limit.ts'
import { wholeNumber } from './whole-number.ts'

/** Returns undefined for an empty environment variable, so that it counts as unset. */
export const emptyIsUnset = (value: unknown): unknown => (value === '' ? undefined : value)

export const textField = z.preprocess(emptyIsUnset, z.string().optional())
/** A variable with one of the given words. The first is the default. */
export const oneOfField = <const T extends readonly [string, ...string[]]>(words: T) =>
  z.preprocess(emptyIsUnset, z.enum(words, { error: `must be one of ${words.join(', ')}` }).default(words[0]))

export const flagField = z.preprocess(
  (value) => (typeof value === 'string' ? value.trim().toLowerCase() : value),
  z
    .union(
      [
        z.enum(['1', 'true', 'yes', 'on']).transform(() => true),
        z.enum(['', '0', 'false', 'no', 'off']).transform(() => false),
      ],
      { error: 'must be true or false' },
    )
    .default(false),
)

const asBranch = z.never('is not read; say as "branch" what is to be checked out').optional()

/** Other words for `branch`, all refused. If one were ignored, different code than requested would be checked out. */
export const noOtherRevision = {
  ref: asBranch,
  tag: asBranch,
  commit: asBranch,
  sha: asBranch,
  rev: asBranch,
  revision: asBranch,
}

export const integerField = (fallback: number, bounds: Parameters<typeof wholeNumber>[0] = {}) =>
  z.preprocess(emptyIsUnset, wholeNumber(bounds).default(fallback))

/** A duration that a timer waits, in milliseconds. */
export const durationField = (fallback: number, { min = 0, max = TIMER_MS_MAX } = {}) =>
  integerField(fallback, { min, max, unit: 'milliseconds' })

export const listField = z.preprocess(emptyIsUnset, z.string().default('')).transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
