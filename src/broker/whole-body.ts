import type { IncomingMessage } from 'node:http'
import { Refusal } from './refusal.ts'

/** Reads a whole body. @throws {Refusal} at the first byte beyond `bytesMax`. */
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
