import { type Readable, Transform } from 'node:stream'

/** Time between two reads of an output that does not pause, in milliseconds. A socket's buffer lasts for six at full speed. */
const EVERY_MS = 3
/** Reads in a row of an output that has paused. */
const AT_ONCE = 16

/**
 * Returns the same output, read at intervals while it does not pause. Claude Code writes each delta by itself, and a
 * reader that wakes for each spends most of its time on waking. The system gathers what is written meanwhile.
 */
export function paced(output: Readable): Readable {
  /** When the next piece may be read. */
  let due = Number.NEGATIVE_INFINITY
  const pace = new Transform({
    highWaterMark: 1,
    transform(piece: Buffer, _encoding, done) {
      const now = performance.now()
      due = Math.max(due, now - (AT_ONCE - 1) * EVERY_MS) + EVERY_MS
      this.push(piece)
      if (due > now) setTimeout(done, due - now)
      else done()
    },
  })
  // A destroyed stream emits no `end`.
  output.once('close', () => pace.end())
  return output.pipe(pace)
}
