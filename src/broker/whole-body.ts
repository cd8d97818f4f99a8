import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** @throws {Refusal} when it is longer than `bytesMax`; the reading stops there. */
export async function readWhole(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const pieces: Buffer[] = []
  let length = 0
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    length += piece.length
    if (length > bytesMax) throw new Refusal(`The body is longer than ${bytesMax} bytes.`, 413)
    pieces.push(piece)
  }
  return Buffer.concat(pieces)
}
