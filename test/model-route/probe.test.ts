import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import type { ProbeResult } from '../../src/model-route/probe.ts'
import { closeAll, closers, edge, gatewayEnv, json, plainServer, probe } from './probe-run.ts'
import type { SandboxEdgeOptions } from './sandbox-edge.ts'

afterEach(closeAll)

function withResolvers(): { promise: Promise<void>; resolve: () => void } {
  let resolve = (): void => {}
  const promise = new Promise<void>((fulfil) => {
    resolve = fulfil
  })
  return { promise, resolve }
}

describe('the gateway', () => {
  test('answers through the proxy, with its CA, the list of models', async () => {
    const started = await edge()
    expect(await probe(gatewayEnv(started))).toEqual({ ok: true })
    expect(started.asked).toEqual(['inference.local:443'])
    expect(started.requests).toMatchObject([{ method: 'GET', path: '/v1/models' }])
    expect(started.requests[0]?.headers).toMatchObject({
      host: 'inference.local',
      'x-api-key': 'inference-routing',
      'anthropic-version': '2023-06-01',
    })
  })

  test('is the mock gateway too', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'agui-probe-'))
    const mock = await startMockGateway({ directory })
    closers.push(async () => {
      await mock.close()
      rmSync(directory, { recursive: true })
    })
    expect(await probe(mock.environment)).toEqual({ ok: true })
  })

  test('never sees a key of the runner', async () => {
    const started = await edge()
    await probe({
      ...gatewayEnv(started),
      ANTHROPIC_API_KEY: 'sk-secret',
      ANTHROPIC_CUSTOM_HEADERS: 'X-Own: secret',
    })
    expect(JSON.stringify(started.requests)).not.toContain('secret')
    expect(started.requests).toHaveLength(1)
  })

  test('is asked once, also when it fails', async () => {
    const started = await edge({ answer: json(503, { error: 'inference service unavailable' }) })
    expect(await probe(gatewayEnv(started))).toEqual({
      ok: false,
      code: 'model_unreachable',
      message:
        'https://inference.local answered 503 (inference service unavailable): the gateway cannot reach the model ' +
        "behind it; an operator has to check the cluster's inference route",
    })
    expect(started.asked).toHaveLength(1)
    expect(started.requests).toHaveLength(1)
  })

  test('that is not configured names what an operator has to run', async () => {
    const body = {
      error: 'cluster inference is not configured',
      hint: 'run: openshell cluster inference set --help',
    }
    const started = await edge({ answer: json(503, body) })
    expect(await probe(gatewayEnv(started))).toEqual({
      ok: false,
      code: 'model_unreachable',
      message:
        'https://inference.local answered 503 (cluster inference is not configured): ' +
        'an operator has to run `openshell cluster inference set` (see its --help)',
    })
  })

  test.each([
    [200, { data: [] }],
    [204, undefined],
    [400, { error: 'no compatible inference route available' }],
    [404, { error: 'x' }],
    [429, { type: 'error' }],
    [403, { error: 'connection not allowed by policy' }],
  ])('that answers %i %j is there', async (status, body) => {
    expect(await probe(gatewayEnv(await edge({ answer: json(status, body) })))).toEqual({ ok: true })
  })

  test.each([
    [
      401,
      { error: 'unauthorized' },
      'model_unauthorized',
      'answered 401 (unauthorized): an operator has to check the cred',
    ],
    [403, { type: 'error' }, 'model_unauthorized', 'answered 403: an operator has to check the credentials'],
    [
      502,
      { error: 'inference service error' },
      'model_unreachable',
      'answered 502 (inference service error): the gateway',
    ],
    [500, 'text', 'model_unreachable', 'answered 500: the gateway cannot reach the model'],
    [529, { type: 'error' }, 'model_overloaded', 'answered 529: overloaded, try again later'],
  ])('that answers %i %j fails as %s', async (status, body, code, message) => {
    const result = await probe(gatewayEnv(await edge({ answer: json(status, body) })))
    expect(result).toMatchObject({ ok: false, code, message: expect.stringContaining(message) })
  })
})

describe('what is in the way is named', () => {
  const messageOf = (result: ProbeResult): string => (result.ok ? 'ok' : `${result.code}: ${result.message}`)

  test('a CA that did not sign the certificate, by its file', async () => {
    const [started, other] = [await edge(), await edge()]
    const result = await probe({ ...gatewayEnv(started), NODE_EXTRA_CA_CERTS: other.caFile })
    expect(messageOf(result)).toMatch(
      /^model_unreachable: TLS to https:\/\/inference\.local failed \([A-Z_]+\): the CA in .* \(NODE_EXTRA_CA_CERTS\) did not sign its certificate$/,
    )
    expect(messageOf(result)).toContain(other.caFile)
  })

  test('a CA file that is not there, by its name', async () => {
    const result = await probe({ ...gatewayEnv(await edge()), NODE_EXTRA_CA_CERTS: '/nowhere/ca.pem' })
    expect(messageOf(result)).toContain('the CA file /nowhere/ca.pem (NODE_EXTRA_CA_CERTS) cannot be read')
  })

  test.each(['', 'no certificate', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])(
    'a CA file that holds %j, by its name',
    async (text) => {
      const started = await edge()
      writeFileSync(started.caFile, text)
      expect(messageOf(await probe(gatewayEnv(started)))).toContain(`(NODE_EXTRA_CA_CERTS)`)
      expect(messageOf(await probe(gatewayEnv(started)))).toContain(started.caFile)
    },
  )

  test('a CA that is replaced is the one that counts', async () => {
    const [started, other] = [await edge(), await edge()]
    const env = { ...gatewayEnv(started), NODE_EXTRA_CA_CERTS: join(dirname(started.caFile), 'now.pem') }
    cpSync(other.caFile, env.NODE_EXTRA_CA_CERTS)
    expect(await probe(env)).toMatchObject({ ok: false })
    cpSync(started.caFile, env.NODE_EXTRA_CA_CERTS)
    expect(await probe(env)).toEqual({ ok: true })
  })

  test('a certificate for another name', async () => {
    const result = await probe(gatewayEnv(await edge({ host: 'other.local' })))
    expect(messageOf(result)).toMatch(/^model_unreachable: TLS to https:\/\/inference\.local failed \(/)
  })

  test('a proxy whose port is closed, without its password', async () => {
    const { server, url } = await plainServer(() => {})
    await closers.pop()?.()
    expect(server.listening).toBe(false)
    const result = await probe({
      ACP_OPENSHELL_INFERENCE: '1',
      HTTPS_PROXY: url.replace('://', '://user:secret@'),
    })
    expect(messageOf(result)).toBe(
      `model_unreachable: cannot connect to the proxy ${url.replace('://', '://***@')} (ECONNREFUSED): check that it runs and its address`,
    )
  })

  test.each([
    ['403 Forbidden', 'refused https://inference.local with 403: its policy has to allow this host'],
    [
      '407 Proxy Authentication Required',
      "refused https://inference.local with 407: check the proxy's credentials",
    ],
    ['502 Bad Gateway', 'refused https://inference.local with 502: its policy has to allow this host'],
  ])('a proxy that answers CONNECT with %s', async (status, message) => {
    const started = await edge({
      onConnect: (socket) => socket.end(`HTTP/1.1 ${status}\r\ncontent-length: 0\r\n\r\n`),
    })
    expect(messageOf(await probe(gatewayEnv(started)))).toBe(
      `model_unreachable: the proxy ${started.proxyUrl} ${message}`,
    )
  })

  test('a proxy that takes the CONNECT and closes, as one without an inference context does', async () => {
    const started = await edge({
      onConnect: (socket) => socket.write('HTTP/1.1 200 OK\r\n\r\n', () => socket.resetAndDestroy()),
    })
    expect(messageOf(await probe(gatewayEnv(started)))).toBe(
      `model_unreachable: the proxy ${started.proxyUrl} closed the connection to https://inference.local (ECONNRESET): inference may not be set up for this sandbox`,
    )
  })

  test.each([
    ['takes the CONNECT and is silent', { onConnect: () => {} }],
    ['takes the request and is silent', { answer: () => {} }],
    ['begins an answer and is silent', { answer: (_, response) => response.write('{') }],
  ] satisfies [string, SandboxEdgeOptions][])('a gateway that %s, in time', async (_, options) => {
    const started = Date.now()
    const result = await probe(gatewayEnv(await edge(options)), 300)
    expect(messageOf(result)).toBe('model_unreachable: https://inference.local did not answer within 300 ms')
    expect(Date.now() - started).toBeLessThan(5000)
  })

  test('a silent proxy’s connection is closed, not left behind', async () => {
    const { promise, resolve } = withResolvers()
    const started = await edge({ onConnect: (socket) => socket.once('end', resolve).resume() })
    expect(await probe(gatewayEnv(started), 300)).toMatchObject({ ok: false })
    await promise
  })

  test('a host that nobody knows', async () => {
    const result = await probe({ ANTHROPIC_BASE_URL: 'https://nowhere.invalid' })
    expect(messageOf(result)).toMatch(
      /^model_unreachable: cannot connect to https:\/\/nowhere\.invalid \([A-Z_]+\)/,
    )
  })

  test('an answer that is not HTTP', async () => {
    const started = await edge({ onConnect: (socket) => socket.end('SSH-2.0-OpenSSH_9.2\r\n') })
    expect(messageOf(await probe(gatewayEnv(started)))).toMatch(
      /^model_unreachable: cannot connect to the proxy /,
    )
  })

  test('no route at all', async () => {
    expect(await probe({})).toMatchObject({ ok: false, code: 'no_model_route' })
  })
})

describe('a caller that gives up', () => {
  test('before, starts nothing', async () => {
    const reason = new Error('enough')
    await expect(probe({}, 1000, AbortSignal.abort(reason))).rejects.toBe(reason)
  })

  test('meanwhile, gets its reason', async () => {
    const controller = new AbortController()
    const reason = new Error('enough')
    const started = await edge({ answer: () => controller.abort(reason) })
    await expect(probe(gatewayEnv(started), 10_000, controller.signal)).rejects.toBe(reason)
  })
})
