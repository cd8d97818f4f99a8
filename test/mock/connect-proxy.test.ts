import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'
import { createServer as createTcpServer, type Server } from 'node:net'
import { expect, onTestFinished, test } from 'vitest'
import type { MockGateway } from '../../src/mock/mock-gateway.ts'
import { listenOnFreePort } from '../support/ports.ts'
import { connectTo, soon, startGateway, toBody, toPost, toRequest } from './edge-client.ts'

async function serve(server: Server): Promise<number> {
  onTestFinished(() => void server.close())
  return await listenOnFreePort(server)
}

const allowAll = (): { allow: boolean; reason: string } => ({ allow: true, reason: '' })

const ask = async (gateway: MockGateway, text: string) =>
  await (await connectTo(gateway)).send(text).response()

test('a denied CONNECT gets the policy body with the reason and is closed', async () => {
  const asked: unknown[] = []
  const gateway = await startGateway({
    decide: (target) => {
      asked.push(target)
      return { allow: false, reason: 'endpoint not in any policy' }
    },
  })
  const connection = await connectTo(gateway)
  const answer = await connection.send('CONNECT API.Example.com:8443 HTTP/1.1\r\n\r\n').response()
  expect(answer).toMatchObject({ status: 403, reason: 'Forbidden' })
  expect(answer.headers).toMatchObject({ 'content-type': 'application/json', connection: 'close' })
  expect(JSON.parse(answer.body)).toEqual({
    error: 'policy_denied',
    detail: 'CONNECT api.example.com:8443 not permitted by policy',
    reason: 'endpoint not in any policy',
  })
  expect(asked).toEqual([{ host: 'api.example.com', port: 8443 }])
  await connection.closed
})

test.each(['inference.local:8443', 'inference.local.:443', 'api.anthropic.com:443'])(
  'without a policy CONNECT %s is denied',
  async (target) => {
    expect((await ask(await startGateway(), `CONNECT ${target} HTTP/1.1\r\n\r\n`)).status).toBe(403)
  },
)

test('an allowed CONNECT carries bytes both ways until one side ends', async () => {
  const port = await serve(
    createTcpServer((socket) => {
      socket.on('data', (chunk) => socket.end(`echo ${chunk.toString()}`))
    }),
  )
  const connection = await connectTo(await startGateway({ decide: allowAll }))
  const opened = connection.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`)
  expect((await opened.response()).status).toBe(200)
  await connection.send('over the tunnel').sees('echo over the tunnel')
  await connection.closed
})

test('a target that breaks the connection breaks the tunnel', async () => {
  const port = await serve(
    createTcpServer((socket) => void socket.once('data', () => socket.resetAndDestroy())),
  )
  const connection = await connectTo(await startGateway({ decide: allowAll }))
  await connection.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`).response()
  connection.send('break')
  await connection.closed
})

test('a client that leaves closes the connection to the target, so does close of the gateway', async () => {
  const targets: Promise<unknown>[] = []
  const server = createTcpServer((socket) => {
    targets.push(
      once(
        socket.resume().on('error', () => undefined),
        'close',
        { signal: soon() },
      ),
    )
  })
  const port = await serve(server)
  const gateway = await startGateway({ decide: allowAll })
  const open = async () => {
    const accepted = once(server, 'connection', { signal: soon() })
    const connection = await connectTo(gateway)
    await connection.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`).response()
    await accepted
    return connection
  }
  const [leaving] = [await open(), await open()]
  expect(targets).toHaveLength(2)
  leaving.socket.destroy()
  await targets[0]
  await gateway.close()
  await targets[1]
})

test('bytes sent together with an allowed CONNECT reach the target', async () => {
  const port = await serve(createTcpServer((socket) => void socket.pipe(socket)))
  const connection = await connectTo(await startGateway({ decide: allowAll }))
  await connection.send(`CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\nearly`).response()
  await connection.sees('early')
})

test('an allowed target that does not answer gives 502', async () => {
  const server = createTcpServer()
  const port = await serve(server)
  server.close()
  await once(server, 'close')
  expect(
    (await ask(await startGateway({ decide: allowAll }), `CONNECT 127.0.0.1:${port} HTTP/1.1\r\n\r\n`))
      .status,
  ).toBe(502)
})

test.each(['nonsense', 'host:0', 'host:99999', ':443', 'a b:443'])('CONNECT %s gives 400', async (target) => {
  const gateway = await startGateway({ decide: allowAll })
  const connection = await connectTo(gateway)
  await connection.send(`CONNECT ${target} HTTP/1.1\r\n\r\n`).sees('HTTP/1.1 400 Bad Request\r\n\r\n')
  await connection.closed
})

test('a denied plain request names method, target and path, but no reason', async () => {
  const gateway = await startGateway({ decide: () => ({ allow: false, reason: 'kept back' }) })
  const answer = await ask(gateway, toRequest('GET http://Example.com/a/b?c=d'))
  expect(answer.status).toBe(403)
  expect(JSON.parse(answer.body)).toEqual({
    error: 'policy_denied',
    detail: 'GET example.com:80/a/b?c=d not permitted by policy',
  })
})

test('plain http to inference.local takes the policy path', async () => {
  const gateway = await startGateway()
  expect(
    (await ask(gateway, toRequest('POST http://inference.local/v1/messages', toBody('you')))).status,
  ).toBe(403)
})

test('an allowed plain request is relayed, the body too', async () => {
  let seen: IncomingHttpHeaders = {}
  const port = await serve(
    createServer((request, response) => {
      seen = request.headers
      response.writeHead(201, { 'x-from': 'target' })
      request.pipe(response)
    }),
  )
  const gateway = await startGateway({ decide: allowAll })
  const headers = { 'proxy-authorization': 'Basic secret', 'x-mine': 'kept' }
  const answer = await ask(gateway, toRequest(`POST http://127.0.0.1:${port}/path`, 'the body', headers))
  expect(answer).toMatchObject({ status: 201, body: 'the body' })
  expect(answer.headers['x-from']).toBe('target')
  expect(seen).toMatchObject({ 'x-mine': 'kept' })
  expect(seen).not.toHaveProperty('proxy-authorization')
})

test('https:// in absolute form gives 400', async () => {
  const connection = await connectTo(await startGateway({ decide: allowAll }))
  await connection.send(toRequest('GET https://example.com/')).sees('HTTP/1.1 400 Bad Request')
  await connection.closed
})

test('a head over 8 KiB gives 431', async () => {
  const connection = await connectTo(await startGateway({ decide: allowAll }))
  connection.send(`CONNECT a:1 HTTP/1.1\r\nx-long: ${'x'.repeat(9000)}\r\n\r\n`)
  await connection.sees('HTTP/1.1 431 Request Header Fields Too Large\r\n\r\n')
  await connection.closed
})

test('the direct route answers in origin form, with the model that was asked for and every header seen', async () => {
  const gateway = await startGateway({
    script: { model: 'never used here', rules: [{ reply: 'hello {{prompt}}' }] },
  })
  const connection = await connectTo(gateway)
  for (const prompt of ['one', 'two']) {
    const answer = await connection.send(toPost(prompt)).response()
    expect(answer.status).toBe(200)
    expect(answer.body).toContain(`hello ${prompt}`)
    expect(answer.body).toContain('"model":"claude-opus-5-5"')
  }
  expect(gateway.requests.map(({ route, path }) => `${route} ${path}`)).toEqual([
    'direct /v1/messages?beta=true',
    'direct /v1/messages?beta=true',
  ])
})

test('the direct route refuses what it does not know in the shape of the provider', async () => {
  const gateway = await startGateway()
  const answer = await ask(gateway, toRequest('POST /v1/messages/count_tokens', toBody('you')))
  expect(answer.status).toBe(404)
  expect(JSON.parse(answer.body)).toMatchObject({ type: 'error', error: { type: 'not_found_error' } })
})
