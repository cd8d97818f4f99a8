// A model's server, or the broker before one: each a process of its own, as they are in life.
//   upstream        answers with as many frames as the body says, a write each
//   broker URL      the broker that `serve` has, before that address
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openOwnBroker } from '../../src/broker/own-broker.ts'
import { detectRoute } from '../../src/model-route/route.ts'

const FRAME = Buffer.from(
  'event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"word "}}\n\n',
)

const [kind, address = ''] = process.argv.slice(2)
const listening = kind === 'broker' ? await startBroker(address) : await startUpstream()
process.send?.(listening)
process.on('disconnect', () => process.exit())

async function startUpstream(): Promise<{ url: string; token: string }> {
  const server = createServer(async (request, response) => {
    let body = ''
    for await (const piece of request) body += piece
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    for (let left = Number(JSON.parse(body)); left > 0; left--)
      if (!response.write(FRAME)) await once(response, 'drain')
    response.end()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, token: '' }
}

async function startBroker(url: string): Promise<{ url: string; token: string }> {
  const env = { PATH: process.env['PATH'], ANTHROPIC_BASE_URL: url, ANTHROPIC_API_KEY: 'no-real-key' }
  const { signal } = new AbortController()
  const route = await detectRoute({ env, wrappersDirectory: 'wrappers', signal })
  const broker = await openOwnBroker({ route, env })
  await broker.warm()
  return broker
}
