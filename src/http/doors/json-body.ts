import { isUtf8 } from 'node:buffer'
import { RunnerError } from '../../errors.ts'

export interface JsonLimits {
  /** How deep arrays and objects may be nested. */
  jsonDepthMax: number
}

/** A UTF-16 surrogate without its other half. Such a text can neither be stored nor sent to the agent. */
const LONE_SURROGATE = /\p{Surrogate}/u
/** In valid UTF-8 only an escape can hold a lone surrogate, and an escape may also spell `__proto__`. */
const WORTH_A_LOOK = /\\u|__proto__/
const PATH_CHARS_MAX = 200

/**
 * Parses a body or a frame whose whole content can be stored. The refused values would be altered or fail later, when
 * they are written to the log and no client waits for an answer any more.
 *
 * @param where for the message: "the body", "the frame".
 * @throws {RunnerError} `invalid_input` when the bytes are not UTF-8 or not JSON, are nested deeper than
 * `JSON_DEPTH_MAX`, or contain a lone UTF-16 surrogate or a key `__proto__`.
 */
export function parseJsonBody(bytes: Buffer, where: string, { jsonDepthMax }: JsonLimits): unknown {
  if (!isUtf8(bytes)) throw new RunnerError('invalid_input', `${capital(where)} is not UTF-8.`)
  const text = bytes.toString().replace(/^\ufeff/, '')
  // Checked before parsing, because ten million brackets would become ten million arrays.
  checkDepth(text, where, jsonDepthMax)
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch (error) {
    throw new RunnerError('invalid_input', `${capital(where)} is not JSON.`, { cause: error })
  }
  if (!WORTH_A_LOOK.test(text)) return value
  const fault = faultIn(value)
  if (fault === undefined) return value
  const place = fault.path.join('.').slice(0, PATH_CHARS_MAX)
  throw new RunnerError('invalid_input', `In ${where}: ${place === '' ? where : place} ${fault.what}.`)
}

/**
 * Refuses a text whose brackets nest too deep: a body, or a JSON text inside a body that is parsed later.
 *
 * @throws {RunnerError} `invalid_input`.
 */
export function checkDepth(text: string, where: string, jsonDepthMax: number): void {
  if (!isDeeper(text, jsonDepthMax)) return
  throw new RunnerError(
    'invalid_input',
    `${capital(where)} nests arrays and objects deeper than JSON_DEPTH_MAX (${jsonDepthMax}); send it flatter.`,
  )
}

const QUOTE = 0x22
const BACKSLASH = 0x5c
const [OPEN_LIST, CLOSE_LIST, OPEN_MAP, CLOSE_MAP] = [0x5b, 0x5d, 0x7b, 0x7d]

function isDeeper(text: string, depthMax: number): boolean {
  let depth = 0
  for (let at = 0; at < text.length; at += 1) {
    const code = text.charCodeAt(at)
    if (code === QUOTE) {
      at = endOfString(text, at)
      if (at < 0) return false
    } else if (code === OPEN_LIST || code === OPEN_MAP) {
      depth += 1
      if (depth > depthMax) return true
    } else if (code === CLOSE_LIST || code === CLOSE_MAP) depth -= 1
  }
  return false
}

/** Returns the index of the quote that ends the string that begins at `start`, and -1 when no quote ends it. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1)
  while (end > 0 && isEscaped(text, end)) end = text.indexOf('"', end + 1)
  return end
}

function isEscaped(text: string, at: number): boolean {
  let backslashes = 0
  while (text.charCodeAt(at - backslashes - 1) === BACKSLASH) backslashes += 1
  return backslashes % 2 === 1
}

interface Fault {
  path: string[]
  what: string
}

/** Finds the first value that cannot be stored. The recursion is bounded, because the depth was checked before. */
function faultIn(value: unknown): Fault | undefined {
  if (typeof value === 'string') {
    return LONE_SURROGATE.test(value)
      ? { path: [], what: 'holds half a character (a lone surrogate)' }
      : undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  for (const [key, member] of Object.entries(value)) {
    if (key === '__proto__') return { path: [], what: 'may not have a key __proto__' }
    if (LONE_SURROGATE.test(key)) return { path: [], what: 'has a key that holds half a character' }
    const fault = faultIn(member)
    if (fault !== undefined) return { ...fault, path: [key, ...fault.path] }
  }
  return undefined
}

function capital(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1)
}
