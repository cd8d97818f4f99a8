import { isUtf8 } from 'node:buffer'
import { RunnerError } from '../errors.ts'
import { quoted } from './guard.ts'

/** Upper bound of a file that is shown to a person, in bytes. A larger file can be downloaded. */
export const SHOWN_BYTES_MAX = 1024 * 1024

/** Returns the bytes as text. @throws {RunnerError} `invalid_input` when they are not UTF-8 or hold a NUL. */
export function toShownText(bytes: Buffer, path: string): string {
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString('utf8')
  throw new RunnerError('invalid_input', `"${quoted(path)}" is no UTF-8 text; download it to look at it.`)
}

export function tooLarge(path: string, bytesMax: number): RunnerError {
  return new RunnerError('too_large', `"${quoted(path)}" is too large: it has more than ${bytesMax} bytes.`)
}
