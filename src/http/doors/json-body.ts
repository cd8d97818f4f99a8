import { isUtf8 } from 'node:buffer'
import { RunnerError } from '../../errors.ts'

export interface JsonLimits {
  /** How deep arrays and objects may stand in one another. */
  jsonDepthMax: number
}

/** No text that could be stored, or sent to the agent, has one half of a character alone. */
const LONE_SURROGATE = /\p{Surrogate}/u
/** Bytes that are UTF-8 hold one in an escape only, and an escape may spell `__proto__` too. */
const WORTH_A_LOOK = /\\u|__proto__/
const PATH_CHARS_MAX = 200

/**
 * A body or a frame, of which everything can be kept: what is refused here would be changed or fail later, when
 * it is written to the log and nobody waits for an answer any more.
 *
 * @param where for the message: "the body", "the frame".
 * @throws {RunnerError} `invalid_input` for what is no JSON or no UTF-8, is nested deeper than `JSON_DEPTH_MAX`, holds
 * half a character (a lone UTF-16 surrogate), or a key `__proto__`.
 */
export function parseJsonBody(bytes: Buffer, where: string, { jsonDepthMax }: JsonLimits): unknown {
  if (!isUtf8(bytes)) throw new RunnerError('invalid_input', `${capital(where)} is not UTF-8.`)
  const text = bytes.toString().replace(/^\ufeff/, '')
  // Before it is parsed: ten million brackets would become ten million arrays.
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
 * Refuses a text whose brackets nest too deep: a body, or a JSON text inside of one that somebody parses later.
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

/** Where the quote is that ends the string which begins at `start`; -1 when none does. */
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

/** The value is no deeper than was allowed, so that the stack suffices. */
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
