import { crc32 } from 'node:zlib'

/** Where a value is stored. */
export interface ValuePlace {
  table: string
  /** The key as LMDB has it. */
  key: Uint8Array
}

/**
 * The first byte of a stored value. A CRC-32 follows (four bytes, little-endian), then the value. The sum covers the
 * value's place as well: in a copy that was made while the store was in use, a key can lead to pages which hold an
 * intact value of another thread by now.
 */
const FORMAT = 2
/** The format whose sum covers the value alone. */
const FORMAT_WITHOUT_PLACE = 1
const HEAD_BYTES = 5
/** A value that begins as JSON text does was written before there were checksums. It is accepted as it is. */
const JSON_STARTS = new Set([...'{["tfn0123456789-'].map((character) => character.charCodeAt(0)))

export function seal(place: ValuePlace, parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  head[0] = FORMAT
  head.writeUInt32LE(
    parts.reduce((sum, part) => crc32(part, sum), sumOf(place)),
    1,
  )
  return Buffer.concat([head, ...parts])
}

/** Returns the value; undefined when it is not what was stored in this place. */
export function unseal(place: ValuePlace, stored: Buffer): Buffer | undefined {
  const [format] = stored
  if (format === undefined) return undefined
  if (JSON_STARTS.has(format)) return stored
  if (stored.length < HEAD_BYTES || (format !== FORMAT && format !== FORMAT_WITHOUT_PLACE)) return undefined
  const value = stored.subarray(HEAD_BYTES)
  const start = format === FORMAT ? sumOf(place) : 0
  return crc32(value, start) === stored.readUInt32LE(1) ? value : undefined
}

function sumOf({ table, key }: ValuePlace): number {
  return crc32(key, crc32(`${table}\0`))
}
