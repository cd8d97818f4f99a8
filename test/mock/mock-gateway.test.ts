import { access, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startMockGateway } from '../../src/mock/mock-gateway.ts'
import { createRequestLog, REQUEST_BYTES_KEPT_MAX, REQUESTS_KEPT_MAX } from '../../src/mock/request-log.ts'
import type { Script } from '../../src/mock/script.ts'
import { connectTo, openTunnel, soon, startGateway, toPost } from './edge-client.ts'

const HELLO: Script = { rules: [{ reply: 'hello {{prompt}}' }] }

test('it says where it is and writes two files without a private key', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mock-gateway-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  const gateway = await startGateway({ directory: join(directory, 'made') })
  const url = `http://127.0.0.1:${gateway.port}`
  expect([gateway.proxyUrl, gateway.directUrl]).toEqual([url, url])
  expect((await readdir(join(directory, 'made'))).sort()).toEqual(['ca-bundle.pem', 'openshell-ca.pem'])
  const [ca, bundle] = await Promise.all(
    [gateway.caFile, gateway.caBundleFile].map((file) => readFile(file, 'utf8')),
  )
  expect(ca?.match(/BEGIN CERTIFICATE/g)).toHaveLength(1)
  expect(bundle?.match(/BEGIN CERTIFICATE/g)?.length).toBeGreaterThan(20)
  expect(bundle?.endsWith(ca ?? 'missing')).toBe(true)
  expect(`${ca}${bundle}`).not.toContain('PRIVATE KEY')
  expect(gateway.environment).toMatchObject({
    ACP_OPENSHELL_INFERENCE: 'true',
    ANTHROPIC_BASE_URL: 'https://inference.local',
    HTTPS_PROXY: url,
    NODE_EXTRA_CA_CERTS: gateway.caFile,
    SSL_CERT_FILE: gateway.caBundleFile,
    NO_PROXY: '127.0.0.1,localhost,::1',
  })
  expect(gateway.environment['ANTHROPIC_API_KEY']).not.toBe('')
})

test('close ends every connection and may be called again', async () => {
  const gateway = await startGateway({ script: { rules: [{ reply: ['begin', { hang: true }] }] } })
  const idle = await connectTo(gateway)
  const streaming = await openTunnel(gateway)
  await streaming.send(toPost('you')).sees('begin')
  await Promise.all([gateway.close(), gateway.close(), idle.closed, streaming.closed])
  await expect(connectTo(gateway)).rejects.toMatchObject({ code: 'ECONNREFUSED' })
})

test('a port that is taken is told', async () => {
  const { port } = await startGateway()
  const directory = await mkdtemp(join(tmpdir(), 'mock-gateway-test-'))
  onTestFinished(() => rm(directory, { recursive: true, force: true }))
  await expect(startMockGateway({ port, directory })).rejects.toMatchObject({
    name: 'MockError',
    message: expect.stringContaining(`127.0.0.1:${port}`),
  })
})

test('use swaps the script for the next request and starts its counts anew', async () => {
  const gateway = await startGateway({ script: { rules: [{ times: 1, reply: 'first' }] } })
  const tunnel = await openTunnel(gateway)
  expect((await tunnel.send(toPost('a')).response()).body).toContain('first')
  expect((await tunnel.send(toPost('a')).response()).status).toBe(400)
  gateway.use({ model: 'swapped', rules: [{ times: 1, reply: 'second' }] })
  expect((await tunnel.send(toPost('a')).response()).body).toMatch(/"model":"swapped"[\s\S]*second/)
  expect(() => gateway.use({ rules: [{ when: { prompt: '(' }, reply: '' }] })).toThrow(
    'not a valid regular expression',
  )
})

test('a request no rule fits is refused with what it was', async () => {
  const gateway = await startGateway({ script: { rules: [] } })
  const answer = await (await openTunnel(gateway)).send(toPost('who fits')).response()
  expect(answer.status).toBe(400)
  expect(JSON.parse(answer.body).error.message).toContain('who fits')
})

test('a gate in the script is opened from outside', async () => {
  const gateway = await startGateway({ script: { rules: [{ reply: ['before', { gate: 'go' }, 'after'] }] } })
  const tunnel = await openTunnel(gateway)
  await tunnel.send(toPost('you')).sees('before')
  gateway.open('go')
  expect((await tunnel.response()).body).toContain('after')
})

test('waitForRequest finds a past request, waits for a coming one, and ends with the signal', async () => {
  const gateway = await startGateway({ script: HELLO })
  const seen: number[] = []
  const stop = gateway.onRequest(({ seq }) => seen.push(seq))
  const tunnel = await openTunnel(gateway)
  const coming = gateway.waitForRequest(({ facts }) => facts?.prompt === 'two', soon())
  await tunnel.send(toPost('one')).response()
  expect((await gateway.waitForRequest(({ facts }) => facts?.prompt === 'one', soon())).seq).toBe(2)
  stop()
  await tunnel.send(toPost('two')).response()
  expect(await coming).toMatchObject({ seq: 3, route: 'inference' })
  expect(await (await coming).answered).toMatchObject({ status: 200, end: 'complete', rule: 'rules[0]' })
  expect(seen).toEqual([1, 2])
  const controller = new AbortController()
  const never = gateway.waitForRequest(() => false, controller.signal)
  controller.abort(new Error('enough'))
  await expect(never).rejects.toThrow('enough')
  await expect(gateway.waitForRequest(() => false, controller.signal)).rejects.toThrow('enough')
})

test('only the latest requests are kept, by number and by size', () => {
  const log = createRequestLog()
  const entry = { route: 'direct', method: 'POST', path: '/', headers: {}, body: undefined } as const
  for (let n = 0; n < REQUESTS_KEPT_MAX + 5; n += 1) log.add({ ...entry, bytes: 1 })
  expect(log.requests).toHaveLength(REQUESTS_KEPT_MAX)
  expect(log.requests[0]?.seq).toBe(6)
  log.add({ ...entry, bytes: REQUEST_BYTES_KEPT_MAX })
  expect(log.requests).toHaveLength(1)
})

test('headers can be held back', async () => {
  const gateway = await startGateway({ script: { rules: [{ reply: [{ headersAfter: 30 }, 'late'] }] } })
  const tunnel = await openTunnel(gateway)
  const started = performance.now()
  expect((await tunnel.send(toPost('you')).response()).body).toContain('late')
  expect(performance.now() - started).toBeGreaterThan(25)
})

test('a scripted answer can be anything: HTML, empty, with headers of its own', async () => {
  const reply = [
    { headers: { 'x-extra': '1' } },
    { error: { status: 200, body: '<html>', headers: { 'content-type': 'text/html' } } },
  ]
  const gateway = await startGateway({ script: { rules: [{ reply }] } })
  const answer = await (await openTunnel(gateway)).send(toPost('you')).response()
  expect(answer).toMatchObject({ status: 200, body: '<html>' })
  expect(answer.headers).toMatchObject({ 'content-type': 'text/html', 'x-extra': '1' })
})

test('an error event becomes a status when nothing streams', async () => {
  const script: Script = { rules: [{ reply: [{ streamError: { type: 'overloaded_error' } }] }] }
  const tunnel = await openTunnel(await startGateway({ script }))
  expect((await tunnel.send(toPost('you', { stream: false })).response()).status).toBe(529)
  expect((await tunnel.send(toPost('you')).response()).body).toContain('event: error\n')
})

test('the files are left to the caller', async () => {
  const gateway = await startGateway({ script: HELLO })
  await gateway.close()
  await expect(access(gateway.caFile)).resolves.toBeUndefined()
})
