// What agents write is read in turns, so that a new connection waits for no more than one of them.
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { type AddressInfo, connect, createServer } from 'node:net'
import { PassThrough, type Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { expect, onTestFinished, test } from 'vitest'
import { readFairly } from '../../../src/claude/process/fair-reading.ts'

const PIECES = 50

/** An output whose pieces are all there already. */
function outputOf(name: string): PassThrough {
  const output = new PassThrough({ highWaterMark: 1 })
  void (async () => {
    for (let piece = 0; piece < PIECES; piece++) if (!output.write(name)) await once(output, 'drain')
    output.end()
  })()
  return output
}

async function ended(...outputs: Readable[]): Promise<void> {
  await Promise.all(outputs.map((output) => once(output, 'end')))
}

test('what was written comes whole and in order, and ends with its output', async () => {
  const output = new PassThrough()
  const whole = text(readFairly(output))
  for (let index = 0; index < PIECES; index++) output.write(`${index} ü `)
  output.end('the last')
  expect(await whole).toBe(`${Array.from({ length: PIECES }, (_, index) => `${index} ü `).join('')}the last`)
})

test('an output that is destroyed ends', async () => {
  const output = new PassThrough()
  const whole = text(readFairly(output))
  output.write('first')
  await new Promise(setImmediate)
  await new Promise(setImmediate)
  output.destroy()
  expect(await whole).toBe('first')
})

test('in a turn of the event loop comes one piece, of each output in its turn', async () => {
  const seen: string[] = []
  let turns = 0
  const count = (): void => {
    turns += 1
    if (turns < PIECES) setImmediate(count)
  }
  setImmediate(count)
  const outputs = ['a', 'b', 'c'].map((name) =>
    readFairly(outputOf(name)).on('data', (piece) => seen.push(`${piece}`)),
  )
  await ended(...outputs)
  expect(turns).toBe(PIECES)
  expect(seen.filter((name) => name === 'a')).toHaveLength(PIECES)
  expect(seen.slice(0, 30).join('')).toMatch(/^(abc)+$/)
})

test('connections that wait are taken before the next piece', async () => {
  const seen: string[] = []
  const server = createServer((socket) => {
    seen.push('connection')
    socket.destroy()
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  onTestFinished(() => void server.close())
  const outputs = ['a', 'b'].map((name) => readFairly(outputOf(name)).on('data', () => seen.push('piece')))
  const { port } = server.address() as AddressInfo
  const clients = Array.from({ length: 20 }, () => connect(port, '127.0.0.1').resume())
  await Promise.all([ended(...outputs), ...clients.map((client) => once(client, 'close'))])
  const between = seen.slice(seen.indexOf('connection'), seen.lastIndexOf('connection'))
  expect(between.filter((what) => what === 'connection')).toHaveLength(19)
  expect(between.filter((what) => what === 'piece').length).toBeLessThan(4)
})

test('pieces come too while somebody knocks in every turn', async () => {
  let isOver = false
  const knock = (): void => {
    channel('net.server.socket').publish({})
    if (!isOver) setImmediate(knock)
  }
  setImmediate(knock)
  await ended(readFairly(outputOf('a')).resume())
  isOver = true
})
