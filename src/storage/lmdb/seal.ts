import { crc32 } from 'node:zlib'

/**
 * The first byte of a stored value. The value's CRC-32 follows (four bytes, little-endian), then the value. A value
 * without this byte was written before there were checksums and begins as JSON text does; it is accepted as it is.
 */
const FORMAT = 1
const HEAD_BYTES = 5
const JSON_STARTS = new Set([...'{["tfn0123456789-'].map((character) => character.charCodeAt(0)))

export function seal(...parts: readonly Uint8Array[]): Buffer {
  const head = Buffer.allocUnsafe(HEAD_BYTES)
  let sum = 0
  for (const part of parts) sum = crc32(part, sum)
  head[0] = FORMAT
  head.writeUInt32LE(sum, 1)
  return Buffer.concat([head, ...parts])
}

/** Returns the value; undefined when it is not what was stored. */
export function unseal(stored: Buffer): Buffer | undefined {
  const [format] = stored
  if (format === undefined) return undefined
  if (format !== FORMAT) return JSON_STARTS.has(format) ? stored : undefined
  if (stored.length < HEAD_BYTES) return undefined
  const value = stored.subarray(HEAD_BYTES)
  return crc32(value) === stored.readUInt32LE(1) ? value : undefined
}
