import { RunnerError } from '../errors.ts'
import { MARKER } from './redacted-text.ts'

export interface Shown {
  /** The value before redaction. */
  original: unknown
  /** The redacted values that a client may have got: redacted string by string, or as JSON text. */
  forms: readonly unknown[]
  /** The value's name in errors. */
  name: string
}

/** Greatest depth of a tool's arguments, so that the stack does not overflow. */
const DEPTH_MAX = 256

/**
 * Restores a value that a client got without its secrets and sends back. A string that equals the one shown at its place
 * means the original. A marker anywhere else stands for no known secret and would be taken for data.
 *
 * @throws {RunnerError} `invalid_input` with the place of the marker.
 */
export function restoreShown(sent: unknown, shown: Shown, depth = 0): unknown {
  if (depth > DEPTH_MAX) throw new RunnerError('invalid_input', `${shown.name} is too deep.`)
  if (typeof sent === 'string') return restoreText(sent, shown)
  if (Array.isArray(sent)) {
    return sent.map((item, index) => restoreShown(item, memberOf(shown, `${index}`), depth + 1))
  }
  if (typeof sent !== 'object' || sent === null) return sent
  return Object.fromEntries(
    Object.entries(sent).map(([key, member]) => {
      if (key.includes(MARKER)) throw untraceable(`A key of ${shown.name}`)
      return [key, restoreShown(member, memberOf(shown, key), depth + 1)]
    }),
  )
}

function restoreText(sent: string, { original, forms, name }: Shown): unknown {
  if (!sent.includes(MARKER) || sent === original) return sent
  if (typeof original === 'string' && forms.includes(sent)) return original
  throw untraceable(name)
}

function memberOf({ original, forms, name }: Shown, key: string): Shown {
  return {
    original: member(original, key),
    forms: forms.map((form) => member(form, key)),
    name: `${name}.${key}`,
  }
}

function member(value: unknown, key: string): unknown {
  const isThere = typeof value === 'object' && value !== null && Object.hasOwn(value, key)
  return isThere ? Reflect.get(value, key) : undefined
}

function untraceable(what: string): RunnerError {
  return new RunnerError(
    'invalid_input',
    `${what} holds ${MARKER}, which stands for a secret that was not shown. Send the value exactly as it was shown to keep it, or another one without ${MARKER}.`,
  )
}
