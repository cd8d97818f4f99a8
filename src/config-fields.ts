import { z } from 'zod'
import { wholeNumber } from './whole-number.ts'

/** Forms of an environment variable; an empty one counts as unset. */
export const emptyIsUnset = (value: unknown): unknown => (value === '' ? undefined : value)

export const textField = z.preprocess(emptyIsUnset, z.string().optional())
/** The first word is the default. */
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

export const integerField = (fallback: number, bounds: Parameters<typeof wholeNumber>[0] = {}) =>
  z.preprocess(emptyIsUnset, wholeNumber(bounds).default(fallback))

export const listField = z.preprocess(emptyIsUnset, z.string().default('')).transform((value) =>
  value
    .split(',')
    .map((item) => item.trim())
    .filter((item) => item !== ''),
)
