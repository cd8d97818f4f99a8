// Requests that name two hosts: servers differ in which one they go by, so none of them passes an inspected tunnel.
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import { authorityProblem, parseAuthority } from '../../src/policy/request/request-authority.ts'
import { policyOf } from '../policy/policy-source.ts'
import { type InspectedWorld, openInspectedWorld, TOOL } from '../sandbox/inspected-world.ts'

const HOST = 'api.test'
const POLICY = policyOf(`version: 1
network_policies:
  r:
    endpoints: [{ host: ${HOST}, port: 443, protocol: rest, enforcement: enforce, access: full }]
    binaries: [{ path: ${TOOL} }]
`)

let world: InspectedWorld
beforeAll(async () => {
  world = await openInspectedWorld(POLICY)
})
afterEach(() => {
  world.heard.length = 0
  world.decisions.length = 0
})
afterAll(() => world.close())

const REFUSED: [name: string, head: string, status: number][] = [
  ['absolute form of another host', `GET https://other.test/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['the same in capitals', `GET HTTPS://OTHER.TEST/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['a host that only ends like it', `GET https://x${HOST}/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['another port', `GET https://${HOST}:8443/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['a port that only the Host names', `GET https://${HOST}/x HTTP/1.1\r\nHost: ${HOST}:8443\r\n`, 400],
  ['user information', `GET https://${HOST}@other.test/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['user information before the right host', `GET https://a@${HOST}/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['another scheme', `GET ftp://${HOST}/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['the right host by plain HTTP', `GET http://${HOST}/x HTTP/1.1\r\nHost: ${HOST}\r\n`, 403],
  ['both of another host', 'GET https://other.test/x HTTP/1.1\r\nHost: other.test\r\n', 403],
  ['no path behind it', `GET https://other.test?x HTTP/1.1\r\nHost: ${HOST}\r\n`, 400],
  ['two Host headers', `GET /x HTTP/1.1\r\nHost: ${HOST}\r\nHost: other.test\r\n`, 400],
  ['the same Host twice', `GET /x HTTP/1.1\r\nHost: ${HOST}\r\nhOST: ${HOST}\r\n`, 400],
  ['two hosts in one header', `GET /x HTTP/1.1\r\nHost: ${HOST}, other.test\r\n`, 403],
  ['no Host at all', 'GET /x HTTP/1.1\r\n', 400],
  ['authority form', `GET other.test:443 HTTP/1.1\r\nHost: ${HOST}\r\n`, 403],
  ['a CONNECT inside', `CONNECT other.test:443 HTTP/1.1\r\nHost: ${HOST}\r\n`, 403],
  [
    'a WebSocket handshake in absolute form',
    `GET https://other.test/x HTTP/1.1\r\nHost: ${HOST}\r\nUpgrade: websocket\r\nConnection: upgrade\r\n`,
    400,
  ],
]

test.each(REFUSED)('%s: nothing reaches the server', async (_name, head, status) => {
  const answer = await world.talk(HOST, `${head}Connection: close\r\n\r\n`)
  expect(answer).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
  expect(world.heard).toEqual([])
})

test.each([
  ['origin form', '/x', HOST],
  ['absolute form that agrees', `https://${HOST}/x`, HOST],
  ['in other letters, with dot and port', `https://API.test./x`, `${HOST}:443`],
  ['a URL in the query', '/x?next=https://other.test/', HOST],
])('%s passes, in origin form', async (_name, target, host) => {
  const bytes = `GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`
  expect(await world.talk(HOST, bytes)).toMatch(/^HTTP\/1\.1 200 /)
  expect(world.heard).toEqual([`GET ${target.replace(/^https:\/\/[^/]+/, '')}`])
})

test('what is refused behind an answer does not break into it', async () => {
  const good = `GET /first HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`
  const answer = await world.talk(HOST, `${good}GET https://other.test/x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  expect(answer).toMatch(/^HTTP\/1\.1 200 [\s\S]*heard GET \/first[\s\S]*HTTP\/1\.1 400 /)
  expect(world.heard).toEqual(['GET /first'])
})

test('a refusal is told with its reason, and names neither the target nor a header', async () => {
  await world.talk(HOST, `GET https://other.test/secret?k=v HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  expect(world.decisions.at(-1)).toMatchObject({
    verdict: 'deny',
    stage: 'l7',
    host: HOST,
    reason: 'the target in absolute form and the Host header name different hosts',
  })
})

describe('before the tunnel stands, the target alone decides and is told', () => {
  test.each([
    ['CONNECT other.test:443', `${HOST}:443`, 403, 'other.test'],
    [`CONNECT ${HOST}:443`, 'other.test:443', 200, HOST],
    ['GET http://other.test/x', HOST, 403, 'other.test'],
    [`GET https://${HOST}/x`, HOST, 400, undefined],
    ['GET /x', HOST, 400, undefined],
  ])('%s with Host %s', async (line, host, status, judged) => {
    const socket = connect(world.proxyPort, '127.0.0.1')
    socket.write(`${line} HTTP/1.1\r\nHost: ${host}\r\n\r\n`)
    const [answer] = await once(socket, 'data')
    socket.destroy()
    expect(String(answer)).toMatch(new RegExp(`^HTTP/1\\.1 ${status} `))
    expect(world.decisions.at(-1)?.host).toBe(judged)
  })
})

describe('the rules themselves', () => {
  const ask = (path: string, port = 443): string =>
    decideEgress(POLICY, { host: HOST, port, binary: TOOL, method: 'GET', path }).verdict

  test('without a Host header the target in absolute form is the authority', () => {
    expect([ask(`https://${HOST}/x`), ask('https://other.test/x'), ask(`http://${HOST}/x`)]).toEqual([
      'allow',
      'deny',
      'deny',
    ])
  })

  test.each(['', ' ', 'a b', 'a:b', 'a:', ':1', 'a:123456', 'a@b', 'a\\b', '[::1', 'a,b'])(
    '"%s" names no host',
    (text) => expect(parseAuthority(text)).toBeUndefined(),
  )

  test('addresses and ports are compared as what they mean', () => {
    expect(authorityProblem('http://[2001:DB8::1]/x', ['[2001:db8::1]:80'])).toBeUndefined()
    expect(authorityProblem('http://[2001:db8::1]/x', ['[2001:db8::2]'])).toBeDefined()
    expect(authorityProblem('http://a/x', ['a:0080'])).toBeUndefined()
  })
})
