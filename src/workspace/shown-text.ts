import { isUtf8 } from 'node:buffer'
import { RunnerError } from '../errors.ts'
import { quoted } from './guard.ts'

/** Bytes of a file that is shown to a person; a larger one is for a download. */
export const SHOWN_BYTES_MAX = 1024 * 1024

/** The bytes as text. @throws {RunnerError} `invalid_input` when they are none. */
export function toShownText(bytes: Buffer, path: string): string {
  if (isUtf8(bytes) && !bytes.includes(0)) return bytes.toString('utf8')
  throw new RunnerError('invalid_input', `"${quoted(path)}" is no UTF-8 text; download it to look at it.`)
}

export function tooLarge(path: string, bytesMax: number): RunnerError {
  return new RunnerError('too_large', `"${quoted(path)}" is too large: it has more than ${bytesMax} bytes.`)
}
