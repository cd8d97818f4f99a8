// The proxy's connections to inspected servers, which outlive the client that they were opened for.
import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { Socket } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { parsePolicy } from '../../src/policy/read/load.ts'
import { type InspectedWorld, openInspectedWorld, TOOL } from './inspected-world.ts'

const HOST = 'api.example.test'
const READER = '/usr/bin/reader'
const POLICY = `
version: 1
network_policies:
  all:
    endpoints: [{ host: ${HOST}, port: 443, protocol: rest, enforcement: enforce, access: full }]
    binaries: [{ path: ${TOOL} }]
  read:
    endpoints: [{ host: ${HOST}, port: 443, protocol: rest, enforcement: enforce, access: read-only }]
    binaries: [{ path: ${READER} }]
`

let world: InspectedWorld
let asker = TOOL
afterEach(() => {
  world.close()
  asker = TOOL
})

/** Opens a world whose server answers with the number of the connection, and how many requests it heard on that before. */
async function openWorld(answer: RequestListener = () => undefined): Promise<void> {
  const { policy } = parsePolicy(POLICY, { file: 'policy.yaml' })
  if (policy === undefined) throw new Error('the policy of this test is wrong')
  const heard = new Map<Socket, { number: number; requests: number }>()
  const listener: RequestListener = (request, response) => {
    const seen = heard.get(request.socket) ?? { number: heard.size + 1, requests: 0 }
    heard.set(request.socket, seen)
    response.setHeader('heard', seen.requests++)
    answer(request, response)
    if (!request.socket.destroyed && !response.writableEnded) response.end(`connection ${seen.number}`)
  }
  world = await openInspectedWorld(policy, listener, () => asker)
}

async function ask(method = 'GET', headers: Record<string, string> = {}): Promise<string> {
  const { status, body } = await world.ask(HOST, { method, headers })
  return status === 200 ? body : `${status}`
}

/** Hangs up on a request that is not the first on its connection. */
const onceOnly: RequestListener = (request, response) => {
  if (response.getHeader('heard') !== 0) request.socket.destroy()
}

test('the next client of the same program goes on with the connection, and each request is decided', async () => {
  await openWorld()
  expect([await ask(), await ask(), await ask()]).toEqual(Array(3).fill('connection 1'))
  expect(world.decisions.filter(({ method }) => method === 'GET')).toHaveLength(3)
})

test('another program gets a connection of its own, and what it may not do is refused', async () => {
  await openWorld()
  expect(await ask()).toBe('connection 1')
  asker = READER
  expect([await ask(), await ask('POST'), await ask()]).toEqual(['connection 2', '403', 'connection 2'])
})

test('a request on a kept connection that the server closes is made again when it may be, on a new one', async () => {
  await openWorld(onceOnly)
  expect([await ask(), await ask(), await ask('HEAD'), await ask()]).toEqual([
    'connection 1',
    'connection 2',
    '',
    'connection 4',
  ])
})

test('a request that must not be made twice has a new connection', async () => {
  await openWorld(onceOnly)
  expect([await ask('POST'), await ask('POST'), await ask('PUT')]).toEqual([
    'connection 1',
    'connection 2',
    'connection 3',
  ])
})

test('a later request of the same client goes on with its connection', async () => {
  await openWorld()
  await ask()
  const client = await world.open(HOST)
  client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  expect(String((await once(client, 'data'))[0])).toContain('heard: 1')
  client.write(`POST / HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`)
  expect(await text(client)).toContain('heard: 2')
})

test('a connection is not kept when its answer says so, or broke off', async () => {
  const answers: RequestListener[] = [
    (_request, response) => void response.setHeader('connection', 'close'),
    (_request, response) => void response.writeHead(200, { 'content-length': 9 }).end('short'),
  ]
  await openWorld((request, response) => answers.shift()?.(request, response))
  expect(await ask()).toBe('connection 1')
  const client = await world.open(HOST)
  client.write(`GET / HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  await once(client, 'data')
  client.destroy()
  await once(client, 'close')
  expect(await ask()).toBe('connection 3')
})

test("a connection that is signed in is its client's alone", async () => {
  await openWorld()
  expect(await ask('GET', { authorization: 'Negotiate YII=' })).toBe('connection 1')
  expect(await ask()).toBe('connection 2')
})

test('a connection on which the server says more than it was asked is ended', async () => {
  await openWorld()
  const reached = once(world.upstream, 'secureConnection')
  await ask()
  const [server] = await reached
  server.write('HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nlie')
  await once(server, 'close')
  expect(await ask()).toBe('connection 2')
})

test('kept connections end with the proxy', async () => {
  await openWorld()
  const reached = once(world.upstream, 'secureConnection')
  await ask()
  const [server] = await reached
  const closed = once(server, 'close')
  world.closeProxy()
  await closed
})

test('headers that a Connection header names stay on their own connection, of the request and of the answer', async () => {
  const heard: string[] = []
  await openWorld((request, response) => {
    heard.push(String(request.headers['x-here']), String(request.headers['x-through']))
    response.setHeader('connection', 'close, X-Back').setHeader('x-back', 'hop').setHeader('x-end', 'kept')
  })
  const head = `GET / HTTP/1.1\r\nHost: ${HOST}\r\nConnection: close, X-Here\r\nX-Here: hop\r\nX-Through: kept`
  const answer = await world.talk(HOST, `${head}\r\n\r\n`)
  expect(heard).toEqual(['undefined', 'kept'])
  expect(answer).toMatch(/^x-end: kept\r$/m)
  expect(answer).not.toMatch(/x-back/i)
})
