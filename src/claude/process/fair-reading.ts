import { subscribe } from 'node:diagnostics_channel'
import { type Readable, Transform } from 'node:stream'

/** The most turns in a row that are left to new connections. Then a piece is read, however many connections arrive. */
const LEFT_TURNS_MAX = 32

/** The outputs whose next piece has arrived, longest wait first. */
const waiting: (() => void)[] = []
let hasKnocked = false
let leftTurns = 0

// Node's own channel: a server of this process has accepted a connection.
subscribe('net.server.socket', () => {
  hasKnocked = true
})

/**
 * Returns the same output in pieces that take turns with the pieces of all other outputs. One piece is read per turn
 * of the event loop, and none in a turn that accepted a connection. libuv accepts one connection per turn: if ten
 * agents at full speed were read in each turn, further connections would wait for seconds.
 */
export function readFairly(output: Readable): Readable {
  const fair = new Transform({
    transform: (piece: Buffer, _encoding, done) => takeTurn(() => done(null, piece)),
  })
  // A destroyed stream emits no `end`.
  output.once('close', () => fair.end())
  return output.pipe(fair)
}

function takeTurn(work: () => void): void {
  if (waiting.push(work) === 1) setImmediate(turn)
}

function turn(): void {
  const isLeft = hasKnocked && leftTurns < LEFT_TURNS_MAX
  hasKnocked = false
  leftTurns = isLeft ? leftTurns + 1 : 0
  if (!isLeft) waiting.shift()?.()
  if (waiting.length > 0) setImmediate(turn)
}
