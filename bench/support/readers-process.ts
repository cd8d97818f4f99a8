// Many readers of one address in a process of their own, so that a client costs the same whoever serves.
import { Agent, get, type IncomingMessage } from 'node:http'
import type { ReadersAnswer, ReadersRequest } from './readers.ts'

const agent = new Agent({ maxSockets: Number.POSITIVE_INFINITY })
const NEEDLE = 'TEXT_MESSAGE_CONTENT'
const stopped: IncomingMessage[] = []

process.on('message', (request: ReadersRequest) => {
  if (request.type === 'read') void read(request)
  else for (const response of stopped.splice(0)) response.destroy()
})
process.on('disconnect', () => process.exit())

async function read({ url, readers, stoppedReaders }: ReadersRequest & { type: 'read' }): Promise<void> {
  const open = (): Promise<IncomingMessage> =>
    new Promise((resolve, reject) => {
      get(url, { agent }, resolve).once('error', reject)
    })
  const responses = await Promise.all(Array.from({ length: readers }, open))
  stopped.push(...(await Promise.all(Array.from({ length: stoppedReaders }, open))))
  const counts = Promise.all(responses.map(count))
  answer({ type: 'connected' })
  const all = await counts
  answer({
    type: 'done',
    deltas: all.map(({ deltas }) => deltas),
    bytes: all.reduce((sum, { bytes }) => sum + bytes, 0),
  })
}

function count(response: IncomingMessage): Promise<{ deltas: number; bytes: number }> {
  return new Promise((resolve, reject) => {
    let [deltas, bytes, tail] = [0, 0, '']
    response.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      const text = tail + chunk.toString('latin1')
      for (let at = text.indexOf(NEEDLE); at >= 0; at = text.indexOf(NEEDLE, at + NEEDLE.length)) deltas++
      // Too short to hold a whole one again.
      tail = text.slice(1 - NEEDLE.length)
    })
    response.once('end', () => resolve({ deltas, bytes }))
    response.once('error', reject)
  })
}

function answer(message: ReadersAnswer): void {
  process.send?.(message)
}
