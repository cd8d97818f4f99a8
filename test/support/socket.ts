import { WebSocket } from 'ws'
import type { ClientEvent } from './client.ts'

interface SocketFrame {
  type: string
  threadId?: string
  seq?: number
  event?: ClientEvent
  error?: { code: string; message: string }
  // biome-ignore lint/suspicious/noExplicitAny: a test reads the fields of whatever frame it expects
  [field: string]: any
}

export interface TestSocket {
  readonly socket: WebSocket
  readonly frames: SocketFrame[]
  send(command: unknown): void
  /** The first frame, past or to come, for which `test` holds. */
  frame(test: (frame: SocketFrame) => boolean): Promise<SocketFrame>
  close(): Promise<void>
}

/** A WebSocket client of the runner; rejects when the handshake is refused. */
export async function openSocket(
  url: string,
  protocols: string[] = [],
  headers: Record<string, string> = {},
): Promise<TestSocket> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`, protocols, { headers })
  const frames: SocketFrame[] = []
  const waiting = new Set<(frame: SocketFrame) => void>()
  socket.on('message', (data) => {
    const frame: SocketFrame = JSON.parse(String(data))
    frames.push(frame)
    for (const take of [...waiting]) take(frame)
  })
  const closed = new Promise<void>((resolve) => {
    socket.once('close', () => resolve())
  })
  await new Promise<void>((resolve, reject) => {
    socket.once('open', resolve)
    socket.once('error', reject)
  })
  return {
    socket,
    frames,
    send: (command) => socket.send(typeof command === 'string' ? command : JSON.stringify(command)),
    frame(test) {
      const known = frames.find(test)
      if (known !== undefined) return Promise.resolve(known)
      return new Promise((resolve) => {
        const tell = (frame: SocketFrame): void => {
          if (!test(frame)) return
          waiting.delete(tell)
          resolve(frame)
        }
        waiting.add(tell)
      })
    },
    async close() {
      socket.close()
      await closed
    },
  }
}
