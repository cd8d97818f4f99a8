import { once } from 'node:events'
import { type AddressInfo, createConnection, createServer, type Socket } from 'node:net'

export interface GatewayRelay {
  /** Names it as the way to the model, which is never a proxy's. */
  environment: Record<string, string>
  close(): Promise<void>
}

/**
 * From a port of this loopback to the broker's socket: programs inside dial addresses. Small writes are not held back,
 * which costs 44 ms a request (outside.md 4.1).
 */
export async function openGatewayRelay(path: string): Promise<GatewayRelay> {
  const open = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (inside) => {
    const outside = createConnection({ path, allowHalfOpen: true })
    for (const [one, other] of [
      [inside, outside],
      [outside, inside],
    ] as const) {
      open.add(one)
      one.on('error', () => other.destroy())
      one.once('close', () => open.delete(one))
      one.pipe(other)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const loopback = '127.0.0.1,localhost,::1'
  return {
    environment: { ANTHROPIC_BASE_URL: url, NO_PROXY: loopback, no_proxy: loopback },
    async close() {
      for (const socket of open) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
