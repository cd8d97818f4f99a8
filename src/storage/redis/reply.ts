import { RunnerError } from '../../errors.ts'
import { storeDamaged } from '../damage.ts'
import type { Key } from '../table.ts'

/** Checks that Redis answered with a list of bulk strings. @throws {RunnerError} `internal` for any other reply. */
export function bytesOfReply(reply: unknown): readonly Buffer[] {
  if (!Array.isArray(reply) || !reply.every((part) => Buffer.isBuffer(part))) throw strange()
  return reply
}

/** As `bytesOfReply`, as text. */
export function textsOfReply(reply: unknown): readonly string[] {
  return bytesOfReply(reply).map((part) => part.toString())
}

/** As `bytesOfReply`, for a list with `null` for missing values; they become undefined. */
export function valuesOfReply(reply: unknown): readonly (Buffer | undefined)[] {
  if (!Array.isArray(reply)) throw strange()
  return reply.map((part: unknown) => {
    if (part === null) return undefined
    if (Buffer.isBuffer(part)) return part
    throw strange()
  })
}

/** Returns the one value of each entry of a stream. */
export function valuesOfEntries(reply: unknown): readonly Buffer[] {
  if (!Array.isArray(reply)) throw strange()
  return reply.map((entry: unknown) => {
    const [, fields]: readonly unknown[] = Array.isArray(entry) ? entry : []
    const [, value]: readonly unknown[] = Array.isArray(fields) ? fields : []
    if (Buffer.isBuffer(value)) return value
    throw strange()
  })
}

function strange(): RunnerError {
  return new RunnerError('internal', 'Redis answered a command in a way that no Redis does.')
}

/** Returns the error for a value that this program did not write. */
export function damagedEntry(key: Key): RunnerError {
  return storeDamaged(`the entry ${JSON.stringify(key)} is not what was written`)
}
