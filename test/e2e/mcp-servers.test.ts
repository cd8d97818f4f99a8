import { existsSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type ClientEvent, frames, post, run, runInput } from '../support/client.ts'
import { type Bench, openBench } from '../support/runner.ts'

let bench: Bench
let remote: Server | undefined
afterEach(async () => {
  await bench.close()
  remote?.closeAllConnections()
  remote?.close()
  remote = undefined
})

/** A server that says nothing before a file is there. */
const SLOW = `
const { existsSync } = require('node:fs')
const gate = setInterval(() => { if (existsSync(process.argv[1])) { clearInterval(gate); process.exit(1) } }, 20)`

test('a first turn that waits for a slow server names it', async () => {
  bench = await openBench({ script: { rules: [{ reply: 'here' }] } })
  const gate = join(bench.directory, 'gate')
  const slow = { command: process.execPath, args: ['-e', SLOW, gate], alwaysLoad: true }
  const { url } = await bench.open(mcp({ slow }))
  const all: ClientEvent[] = []
  for await (const { event } of frames(await post(url, runInput('slow', 'hello')))) {
    all.push(event)
    if (event['name'] === 'agui-runner.mcp_waiting') writeFileSync(gate, '')
  }
  expect(existsSync(gate)).toBe(true)
  const waiting = all.find(({ name }) => name === 'agui-runner.mcp_waiting')
  expect(waiting?.['value']).toEqual({ servers: ['slow'], waitedMs: 2000 })
  expect(all.at(-1)).toMatchObject({ outcome: { type: 'success' } })
})

test('a server that has refused once is asked again: by the next run, by another thread, after a restart', async () => {
  bench = await openBench({ script: { rules: [{ reply: 'here' }] } })
  let asked = 0
  const server = createServer((request, response) => {
    request.resume()
    asked += 1
    response.writeHead(403).end()
  })
  remote = server
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  const env = mcp({ refusing: { type: 'http', url: `http://127.0.0.1:${port}/mcp`, alwaysLoad: true } })
  const runner = await bench.open(env)
  const askedBy = async (url: string, threadId: string): Promise<number> => {
    const before = asked
    await run(url, runInput(threadId, 'hello'))
    return asked - before
  }
  expect(await askedBy(runner.url, 'one')).toBeGreaterThan(0)
  expect(await askedBy(runner.url, 'one')).toBeGreaterThan(0)
  expect(await askedBy(runner.url, 'two')).toBeGreaterThan(0)
  await runner.stop()
  const { url } = await bench.open(env)
  expect(await askedBy(url, 'three')).toBeGreaterThan(0)
})

function mcp(mcpServers: Record<string, object>): Record<string, string> {
  const file = join(bench.directory, 'mcp.json')
  writeFileSync(file, JSON.stringify({ mcpServers }))
  return { PAYLOAD_MCP_CONFIG_FILE: file }
}
