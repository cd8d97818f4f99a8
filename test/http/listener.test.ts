// The listener before and after the app takes over: what it answers itself, what it holds, and what it refuses.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { afterEach, expect, test } from 'vitest'
import { WebSocket, WebSocketServer } from 'ws'
import { Listener, type ListenerOptions } from '../../src/http/listener.ts'
import { openRaw } from '../support/raw-socket.ts'

const OPTIONS: ListenerOptions = {
  ...{ host: '127.0.0.1', port: 0, socket: undefined, sessionId: 'own', allowedOrigins: [] },
  ...{ headersMax: 20, headersBytesMax: 4096, headersTimeoutMs: 10_000, requestTimeoutMs: 60_000 },
  ...{ keepAliveTimeoutMs: 10_000, subscribersMax: 50, otherConnectionsMax: 50 },
}

const listeners: Listener[] = []
afterEach(async () => {
  for (const listener of listeners.splice(0)) await listener.close()
})

async function open(options: Partial<ListenerOptions> = {}): Promise<Listener> {
  const listener = await Listener.open({ ...OPTIONS, ...options })
  listeners.push(listener)
  return listener
}

/** An app that says what it was asked, body and all, and whose sockets echo. It notes the order of what it gets. */
function app() {
  const asked: string[] = []
  const server = createServer(async (incoming, response) => {
    asked.push(`${incoming.method} ${incoming.url}`)
    const body = await text(incoming)
    response.end(`${incoming.method} ${incoming.url} ${body.length}`)
  })
  const sockets = new WebSocketServer({ server })
  sockets.on('connection', (socket) => socket.on('message', (data) => socket.send(`echo ${data}`)))
  return { server, asked }
}

const health = async (url: string): Promise<unknown> => await (await fetch(`${url}/health`)).json()

test('everything but a probe is held, and answered by the app once it is there, in its order', async () => {
  const listener = await open()
  const { url } = listener
  const { server, asked } = app()
  const large = 'x'.repeat(5_000_000)
  const posted = fetch(`${url}/first`, { method: 'POST', body: large }).then((answer) => answer.text())
  const pipelined = await openRaw(url)
  pipelined.send('GET /second HTTP/1.1\r\nhost: HOST\r\n\r\nGET /health HTTP/1.1\r\nhost: HOST\r\n\r\n')
  pipelined.send('GET /third HTTP/1.1\r\nhost: HOST\r\nconnection: close\r\n\r\n')
  const offering = await openRaw(url)
  offering.send('GET /offered HTTP/1.1\r\nhost: HOST\r\nconnection: close, upgrade\r\nupgrade: h2c\r\n\r\n')
  const expecting = request(`${url}/continued`, { method: 'POST', headers: { expect: '100-continue' } })
  expecting.flushHeaders()
  await once(expecting, 'continue')
  expecting.end('four')
  const continued = once(expecting, 'response').then(([answer]) => text(answer))
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  const echoed = once(socket, 'open').then(async () => {
    socket.send('hello')
    return String((await once(socket, 'message'))[0])
  })
  for (let time = 0; time < 3; time += 1)
    expect(await health(url)).toEqual({ status: 'healthy', session_id: 'own' })
  expect(asked).toEqual([])

  listener.handOver(server)
  expect(await posted).toBe(`POST /first ${large.length}`)
  expect(await continued).toBe('POST /continued 4')
  expect(await echoed).toBe('echo hello')
  socket.close()
  expect(await offering.closed).toContain('GET /offered 0')
  const said = await pipelined.closed
  expect(said.match(/GET \/\w+ 0|healthy/g)).toEqual(['GET /second 0', 'healthy', 'GET /third 0'])
  expect(await (await fetch(`${url}/health`)).text()).toBe('GET /health 0')
})

test('a connection on which something is held is read no further, however much is sent', async () => {
  const listener = await open()
  const flooding = await openRaw(listener.url)
  flooding.send('POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: 100000000\r\n\r\n')
  const piping = await openRaw(listener.url)
  const piece = 'GET /again HTTP/1.1\r\nhost: HOST\r\n\r\n'.repeat(30_000)
  const taken = await Promise.all([
    flooding.sendUntilFull('x'.repeat(1_000_000), 50),
    piping.sendUntilFull(piece, 50),
  ])
  // What the kernel takes for both ends of a connection.
  for (const count of taken) expect(count).toBeLessThan(20)
  expect(await health(listener.url)).toMatchObject({ status: 'healthy' })
  flooding.destroy()
  piping.destroy()
})

const UNREADABLE = [
  'nonsense\r\n\r\n',
  `GET /health HTTP/1.1\r\nhost: HOST\r\nx: ${'a'.repeat(5000)}\r\n\r\n`,
  'GET /health HTTP/1.1\r\nhost: HOST\r\nexpect: tea\r\n\r\n',
  'GET /health HTTP/1.1\r\nhost: HOST\r\norigin: http://app.example\r\ncontent-length: x\r\n\r\n',
  'CONNECT a.example:443 HTTP/1.1\r\nhost: HOST\r\n\r\n',
]

test('what cannot be read is refused alike before the app is there and after', async () => {
  const listener = await open({ allowedOrigins: ['http://app.example'] })
  const answers = async (): Promise<string[]> =>
    await Promise.all(
      UNREADABLE.map(async (bytes) => {
        const socket = await openRaw(listener.url)
        socket.send(bytes)
        return (await socket.closed).replace(/^date: .*\r\n/im, '')
      }),
    )
  const before = await answers()
  listener.handOver(app().server)
  expect(await answers()).toEqual(before)
  expect(before.map((answer) => answer.slice(9, 12))).toEqual(['400', '431', '400', '400', ''])
  expect(before[3]).toContain('access-control-allow-origin: http://app.example')
})

test.each(['close', 'keep-alive'])(
  'who first sends all reads the answer that came before: connection: %s',
  async (connection) => {
    const listener = await open()
    listener.handOver(
      createServer((_incoming, response) => response.writeHead(413, { connection }).end('too large')),
    )
    const socket = await openRaw(listener.url)
    socket.pause()
    const bytes = 20_000_000
    socket.send(`POST / HTTP/1.1\r\nhost: HOST\r\ncontent-length: ${bytes}\r\n\r\n`)
    expect(await socket.sendUntilFull('x'.repeat(bytes / 20), 20)).toBe(20)
    socket.resume()
    expect(await socket.heard(/too large/)).toMatch(/^HTTP\/1\.1 413 /)
    socket.destroy()
  },
)

test('a probe with more than the app may want to see is left to the app', async () => {
  const listener = await open({ allowedOrigins: ['http://app.example'] })
  const { server, asked } = app()
  const page = await fetch(`${listener.url}/healthz`, { headers: { origin: 'http://app.example' } })
  expect(page.headers.get('access-control-allow-origin')).toBe('http://app.example')
  expect(page.headers.get('vary')).toBe('Origin')
  const left = [
    fetch(`${listener.url}/health?x=1`),
    fetch(`${listener.url}/health`, { method: 'HEAD' }),
    fetch(`${listener.url}/health`, { method: 'OPTIONS' }),
    fetch(`${listener.url}/health`, { headers: { forwarded: 'for=1.2.3.4' } }),
    fetch(`${listener.url}/health`, {
      headers: Object.fromEntries(Array.from({ length: 21 }, (_, at) => [`x-${at}`, 'y'])),
    }),
  ]
  expect(await health(listener.url)).toMatchObject({ status: 'healthy' })
  expect(asked).toEqual([])
  listener.handOver(server)
  await Promise.all(left)
  expect(asked).toHaveLength(left.length)
})

test('what is held when the start fails is refused, and the address is free again', async () => {
  const listener = await open({ allowedOrigins: ['http://app.example'] })
  const { url } = listener
  const headers = { origin: 'http://app.example' }
  const held = fetch(`${url}/runs`, { method: 'POST', body: 'x', headers })
  const socket = new WebSocket(`${url.replace('http', 'ws')}/ws`)
  const refused = once(socket, 'unexpected-response').then(([, answer]) => answer.statusCode)
  socket.on('error', () => undefined)
  expect(await health(url)).toMatchObject({ status: 'healthy' })
  expect(await health(url)).toMatchObject({ status: 'healthy' })
  await Promise.all([listener.close(), listener.close()])
  const answer = await held
  expect([answer.status, answer.headers.get('access-control-allow-origin')]).toEqual([503, headers.origin])
  expect(await answer.json()).toMatchObject({ error: { code: 'shutting_down' } })
  expect(await refused).toBe(503)
  await expect(fetch(`${url}/health`)).rejects.toThrow()
  await open({ port: Number(new URL(url).port) })
})

test('what a client left behind does not reach the app', async () => {
  const listener = await open()
  const { server, asked } = app()
  const leaving = await openRaw(listener.url)
  leaving.send('GET /left HTTP/1.1\r\nhost: HOST\r\n\r\nnonsense\r\n\r\n')
  // The rest was no request, so the connection was closed.
  expect(await leaving.closed).toContain('400')
  listener.handOver(server)
  expect(await (await fetch(`${listener.url}/stayed`)).text()).toBe('GET /stayed 0')
  expect(asked).toEqual(['GET /stayed'])
})

test('a taken address is an error, and localhost is each of its addresses', async () => {
  const listener = await open()
  const port = Number(new URL(listener.url).port)
  await expect(open({ port })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  const local = await open({ host: 'localhost' })
  const { port: shared } = new URL(local.url)
  const answers = await Promise.allSettled(
    ['127.0.0.1', '[::1]'].map((host) => health(`http://${host}:${shared}`)),
  )
  expect(answers.map(({ status }) => status)).toContain('fulfilled')
  await local.close()
  await expect(fetch(`http://127.0.0.1:${shared}/health`)).rejects.toThrow()
})

test('the kernel asks after a peer that is silent, at each address', async () => {
  const listener = await open({ host: 'localhost' })
  const { port } = new URL(listener.url)
  const peers = await Promise.all(
    ['127.0.0.1', '[::1]'].map((host) => openRaw(`http://${host}:${port}`).catch(() => undefined)),
  )
  // Each line of an established connection of ours: local address, remote address, state 01, queues, and the timer.
  const table = ['tcp', 'tcp6'].map((name) => readFileSync(`/proc/net/${name}`, 'utf8')).join('')
  const local = Number(port).toString(16).toUpperCase().padStart(4, '0')
  const timers = [...table.matchAll(new RegExp(`:${local} \\w+:\\w{4} 01 \\w+:\\w+ (\\d\\d):`, 'g'))]
  expect(timers.length).toBeGreaterThan(0)
  expect(timers.map(([, timer]) => timer)).toEqual(timers.map(() => '02'))
  for (const peer of peers) peer?.destroy()
})

test('a unix socket is its address, and gone when it is closed', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agui-listener-test-'))
  const socket = join(directory, 'agent.sock')
  const listener = await open({ socket })
  expect(listener.url).toBe(`unix:${socket}`)
  const asked = request({ socketPath: socket, path: '/health' }).end()
  const [answer] = await once(asked, 'response')
  expect(await text(answer)).toContain('healthy')
  await listener.close()
  expect(existsSync(socket)).toBe(false)
  rmSync(directory, { recursive: true })
})

test('a socket that was left behind is replaced; what is in use or is no socket stays', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'agui-listener-test-'))
  const [left, used, file] = ['left.sock', 'used.sock', 'file'].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]
  const killed = `require('node:net').createServer().listen(${JSON.stringify(left)}, () => process.kill(process.pid, 9))`
  await once(spawn(process.execPath, ['--eval', killed]), 'exit')
  expect(existsSync(left)).toBe(true)
  await open({ socket: left })
  const asked = request({ socketPath: left, path: '/health' }).end()
  expect(await text((await once(asked, 'response'))[0])).toContain('healthy')

  await open({ socket: used })
  writeFileSync(file, 'kept')
  for (const socket of [used, file])
    await expect(open({ socket })).rejects.toMatchObject({ code: 'EADDRINUSE' })
  expect(readFileSync(file, 'utf8')).toBe('kept')
  await Promise.all(listeners.splice(0).map((listener) => listener.close()))
  rmSync(directory, { recursive: true })
})
