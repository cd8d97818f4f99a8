import { createServer, type Socket, connect as tcpConnect } from 'node:net'
import { createRandom } from '../support/random.ts'

export interface CuttingProxy {
  readonly url: string
  /** How many connections it has cut so far. */
  readonly cuts: number
  /** Where the next connections go: a runner that was started again has another port. */
  target: string
  /** From now on nothing is done to anybody. */
  behave(): void
  close(): Promise<void>
}

export interface CuttingOptions {
  target: string
  seed: number
  /** So many connections are cut; those behind them pass. */
  cutsMax: number
}

/** Bytes of an answer after which a connection is cut, at the most: within headers, frames and characters. */
const CUT_BYTES_MAX = 6000
/** What one connection is made to suffer. */
const FATES = ['cut', 'cut', 'cut', 'delay', 'twice', 'lost request', 'pass'] as const
const DELAY_MS_MAX = 8

/**
 * A bad network before a server: it cuts connections at any byte, holds pieces up, loses the answer to a request that
 * has arrived, and sends a request twice and lets one of the answers through. The same seed does the same to the n-th
 * connection.
 */
export async function startCuttingProxy(options: CuttingOptions): Promise<CuttingProxy> {
  const random = createRandom(options.seed)
  const sockets = new Set<Socket>()
  let target = options.target
  let isBad = true
  let cuts = 0
  const track = (socket: Socket): Socket => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket)).on('error', () => socket.destroy())
    return socket
  }
  const dial = (): Socket => track(tcpConnect({ host: '127.0.0.1', port: Number(new URL(target).port) }))

  const server = createServer((client) => {
    track(client)
    const fate = FATES[random(FATES.length)] ?? 'pass'
    const cutAt = random(CUT_BYTES_MAX)
    const delayMs = random(DELAY_MS_MAX)
    const upstream = dial()
    // Its answers go nowhere: the server sees the request twice.
    const echo = isBad && fate === 'twice' ? dial() : undefined
    echo?.resume()
    client.on('data', (bytes) => {
      upstream.write(bytes)
      echo?.write(bytes)
    })
    let seen = 0
    const cut = (): void => {
      cuts += 1
      client.destroy()
      upstream.destroy()
    }
    const isLeft = (): boolean => isBad && cuts < options.cutsMax
    upstream.on('data', (bytes) => {
      if (isLeft() && fate === 'lost request') return cut()
      if (isLeft() && fate === 'cut' && seen + bytes.length > cutAt) {
        client.write(bytes.subarray(0, cutAt - seen), cut)
        return upstream.pause()
      }
      seen += bytes.length
      if (!(isBad && fate === 'delay')) return client.write(bytes)
      upstream.pause()
      setTimeout(() => {
        if (!client.destroyed) client.write(bytes)
        upstream.resume()
      }, delayMs)
      return undefined
    })
    const end = (): void => {
      client.destroySoon()
      upstream.destroySoon()
      echo?.destroy()
    }
    client.once('close', end)
    upstream.once('close', end)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  return {
    url: `http://127.0.0.1:${address.port}`,
    get cuts() {
      return cuts
    },
    get target() {
      return target
    },
    set target(url) {
      target = url
    },
    behave() {
      isBad = false
    },
    async close() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
