import { connect } from 'node:net'
import { setTimeout as delay } from 'node:timers/promises'

export interface RawSocket {
  /** Bytes as they are; `HOST` stands for the runner's. */
  send(text: string): void
  /** Sends `text` a character at a time, for as long as the other side listens. */
  dribble(text: string, everyMs: number): void
  /** Sends `piece` up to `times` times, until the other side takes no more; resolves with how often it was taken. */
  sendUntilFull(piece: string, times: number): Promise<number>
  /** Resolves when the kernel has taken everything that was sent. */
  flushed(): Promise<void>
  /** Reads no more, until `resume`. */
  pause(): void
  resume(): void
  /** Resolves with all that was said once it matches. */
  heard(wanted: RegExp): Promise<string>
  /** Resolves with all that was said, when the connection is gone. */
  readonly closed: Promise<string>
  destroy(): void
}

/** Who takes nothing for so long is full. */
const FULL_MS = 1000

/** A TCP connection to the runner; resolves when the kernel has accepted it. */
export async function openRaw(url: string): Promise<RawSocket> {
  const { hostname, port, host } = new URL(url)
  const socket = connect(Number(port), hostname)
  let said = ''
  const waiting = new Set<() => void>()
  socket.setEncoding('utf8').on('data', (text: string) => {
    said += text
    for (const look of [...waiting]) look()
  })
  const closed = new Promise<string>((resolve) => {
    socket.once('close', () => resolve(said))
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('connect', resolve)
    socket.once('error', reject)
  })
  // A reset is an answer too: `closed` tells.
  socket.on('error', () => {})
  const flushed = (): Promise<void> =>
    new Promise((resolve) => {
      if (socket.writableLength === 0) resolve()
      else socket.once('drain', resolve)
    })
  const bytes = (text: string): Buffer => Buffer.from(text.replaceAll('HOST', host), 'latin1')
  return {
    send: (text) => void socket.write(bytes(text)),
    dribble(text, everyMs) {
      const rest = [...bytes(text)]
      const timer = setInterval(() => {
        const next = rest.shift()
        if (next !== undefined && socket.writable) socket.write(Buffer.from([next]))
      }, everyMs)
      socket.once('close', () => clearInterval(timer))
    },
    async sendUntilFull(piece, times) {
      for (let taken = 0; taken < times; taken += 1) {
        socket.write(bytes(piece))
        const isTaken = await Promise.race([flushed(), delay(FULL_MS, false, { ref: false })])
        if (isTaken === false) return taken
      }
      return times
    },
    flushed,
    pause: () => void socket.pause(),
    resume: () => void socket.resume(),
    heard(wanted) {
      return new Promise((resolve, reject) => {
        const look = (): void => {
          if (!wanted.test(said)) return
          waiting.delete(look)
          resolve(said)
        }
        waiting.add(look)
        void closed.then(() => reject(new Error(`hung up; it had said: ${said}`)))
        look()
      })
    },
    closed,
    destroy: () => void socket.destroy(),
  }
}
