import { RunnerError } from '../../errors.ts'
import { storeDamaged } from '../damage.ts'
import type { Key } from '../table.ts'

/** A list of bulk strings; door of what Redis answers. */
export function bytesOfReply(reply: unknown): readonly Buffer[] {
  if (!Array.isArray(reply) || !reply.every((part) => Buffer.isBuffer(part))) throw strange()
  return reply
}

/** As `bytesOfReply`, as text. */
export function textsOfReply(reply: unknown): readonly string[] {
  return bytesOfReply(reply).map((part) => part.toString())
}

/** A list in which what is not there is `null`. */
export function valuesOfReply(reply: unknown): readonly (Buffer | undefined)[] {
  if (!Array.isArray(reply)) throw strange()
  return reply.map((part: unknown) => {
    if (part === null) return undefined
    if (Buffer.isBuffer(part)) return part
    throw strange()
  })
}

/** The one value of each entry of a stream. */
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

/** A value that is not what this program writes. */
export function damagedEntry(key: Key): RunnerError {
  return storeDamaged(`the entry ${JSON.stringify(key)} is not what was written`)
}
