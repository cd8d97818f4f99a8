import { subscribe } from 'node:diagnostics_channel'
import { type Readable, Transform } from 'node:stream'

/** So many turns in a row are left to new connections. Then a piece is due, however many knock. */
const LEFT_TURNS_MAX = 32

/** Those whose next piece is there, the one that waits longest first. */
const waiting: (() => void)[] = []
let hasKnocked = false
let leftTurns = 0

// Node's own channel: a server of this process has accepted a connection.
subscribe('net.server.socket', () => {
  hasKnocked = true
})

/**
 * The same output, in pieces that take turns with those of all others: one piece in a turn of the event loop, and none
 * in a turn in which somebody knocked. libuv accepts one connection a turn; where more wait, a turn in which ten agents at
 * full speed are read keeps them for seconds.
 */
export function inTurns(output: Readable): Readable {
  const paced = new Transform({
    transform: (piece: Buffer, _encoding, done) => takeTurn(() => done(null, piece)),
  })
  // One that is destroyed has no end.
  output.once('close', () => paced.end())
  return output.pipe(paced)
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
