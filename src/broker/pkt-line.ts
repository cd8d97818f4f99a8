// git's pkt-line: four hexadecimal digits of length, which count themselves, then the bytes. 0000 is a flush.
import { Refusal } from './refusal.ts'

const HEAD_BYTES = 4
const LINE_BYTES_MAX = 65_520
const FLUSH = '0000'

export interface PktLines {
  /** The lines before the first flush, without their lengths. */
  lines: Buffer[]
  /** Bytes of these lines and of the flush. */
  length: number
}

/** Returns undefined until the first flush has come. @throws {Refusal} for bytes that are no pkt-line of a push. */
export function readUntilFlush(bytes: Buffer): PktLines | undefined {
  const lines: Buffer[] = []
  let at = 0
  for (;;) {
    const head = bytes.toString('latin1', at, at + HEAD_BYTES)
    if (head.length < HEAD_BYTES) return undefined
    if (head === FLUSH) return { lines, length: at + HEAD_BYTES }
    const length = /^[0-9a-f]{4}$/i.test(head) ? Number.parseInt(head, 16) : 0
    // Lengths 1 to 3 are delimiters of another protocol version.
    if (length <= HEAD_BYTES || length > LINE_BYTES_MAX) throw new Refusal('The push is not readable.', 400)
    if (bytes.length < at + length) return undefined
    lines.push(bytes.subarray(at + HEAD_BYTES, at + length))
    at += length
  }
}

export function pktLine(content: string | Buffer): Buffer {
  const bytes = Buffer.from(content)
  return Buffer.concat([
    Buffer.from((bytes.length + HEAD_BYTES).toString(16).padStart(HEAD_BYTES, '0')),
    bytes,
  ])
}

export const FLUSH_PKT = Buffer.from(FLUSH)
