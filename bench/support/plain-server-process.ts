// The reference: a node:http server with nothing else to it.
//   /file    the bytes of a file, streamed from disk
//   /memory  the same bytes, from memory
//   /live    what a bare Claude Code says from now on, one frame a text delta, until its turn ends
import { createReadStream, readFileSync } from 'node:fs'
import { createServer, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { Readable } from 'node:stream'
import { BareCli } from './bare-cli.ts'
import type { PlainAnswer, PlainRequest } from './plain-server.ts'

const PIECE_BYTES = 64 * 1024
const HEAD = { 'content-type': 'text/event-stream' }
/** As long as the ids that the mock's messages have, so that both sides send the same number of bytes. */
const MESSAGE_ID = 'msg_mock_0123456789abcdef01234567:0'

let file = ''
let pieces: Buffer[] = []
let cli: BareCli | undefined
const live = new Set<ServerResponse>()

const server = createServer((request, response) => {
  response.writeHead(200, HEAD)
  if (request.url === '/file') createReadStream(file).pipe(response)
  else if (request.url === '/memory') Readable.from(pieces).pipe(response)
  else {
    live.add(response)
    response.flushHeaders()
  }
})
server.listen(0, '127.0.0.1', () =>
  answer({ type: 'listening', port: (server.address() as AddressInfo).port }),
)

process.on('message', (request: PlainRequest) => void take(request))
process.on('disconnect', () => process.exit())

async function take(request: PlainRequest): Promise<void> {
  if (request.type === 'file') {
    file = request.path
    const bytes = readFileSync(file)
    pieces = []
    for (let at = 0; at < bytes.length; at += PIECE_BYTES) pieces.push(bytes.subarray(at, at + PIECE_BYTES))
  } else if (request.type === 'start') {
    cli = new BareCli(request.command)
    await cli.turn('hello')
  } else if (request.type === 'prompt') {
    await stream(request.prompt)
  } else {
    await cli?.close()
  }
  answer({ type: 'done' })
}

async function stream(prompt: string): Promise<void> {
  if (cli === undefined) return
  let seq = 0
  cli.onDeltas = (deltas) => {
    if (deltas.length === 0) return
    let frames = ''
    for (const delta of deltas) {
      const event = { type: 'TEXT_MESSAGE_CONTENT', messageId: MESSAGE_ID, delta }
      frames += `id: ${++seq}\ndata: ${JSON.stringify(event)}\n\n`
    }
    const bytes = Buffer.from(frames)
    for (const response of live) response.write(bytes)
  }
  await cli.turn(prompt)
  for (const response of live) response.end()
  live.clear()
}

function answer(message: PlainAnswer): void {
  process.send?.(message)
}
