// Every answer says who may read it, also one that no route gives.
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { openScriptedRunner, type ScriptedRunner } from '../support/scripted-runner.ts'

const LISTED = 'https://app.example'
let runner: ScriptedRunner
beforeAll(async () => {
  runner = await openScriptedRunner(
    { script: { rules: [{ reply: 'Hi.' }] } },
    {
      AGUI_ALLOWED_ORIGINS: LISTED,
      TRUSTED_PROXIES: 'loopback',
      URL_BYTES_MAX: '2000',
      REQUEST_TIMEOUT_MS: '1000',
      HEADERS_TIMEOUT_MS: '1000',
    },
  )
})
afterAll(() => runner.close())

/** The head of the one answer to what is written, name by name. */
async function answerTo(
  written: string,
): Promise<{ status: number; headers: Record<string, string>; body: string }> {
  const { hostname, port } = new URL(runner.url)
  const socket = connect(Number(port), hostname)
  socket.write(written)
  const [head = '', body = ''] = (await text(socket)).split('\r\n\r\n')
  const [first = '', ...lines] = head.split('\r\n')
  const headers = lines.map((line) => [
    line.split(': ')[0]?.toLowerCase() ?? '',
    line.slice(line.indexOf(': ') + 2),
  ])
  return { status: Number(first.split(' ')[1]), headers: Object.fromEntries(headers), body }
}

const head = (line: string, origin: string, more: readonly string[] = []): string =>
  [line, 'Host: 127.0.0.1', `Origin: ${origin}`, 'Connection: close', ...more, '', ''].join('\r\n')

const REFUSED: [what: string, status: number, request: (origin: string) => string][] = [
  ['a path that is no UTF-8', 400, (origin) => head('GET /%ff HTTP/1.1', origin)],
  [
    'half a character in an id',
    400,
    (origin) => head('GET /sessions/%e2%82/events?after=%ff HTTP/1.1', origin),
  ],
  [
    'an address that is too long',
    414,
    (origin) => head(`GET /sessions/${'x'.repeat(2000)} HTTP/1.1`, origin),
  ],
  [
    'headers that are too long',
    431,
    (origin) => head('GET / HTTP/1.1', origin, [`X-Long: ${'x'.repeat(20_000)}`]),
  ],
  ['a method that there is not', 400, (origin) => head('MAKE / HTTP/1.1', origin)],
  ['a method that no route has', 404, (origin) => head('PROPFIND / HTTP/1.1', origin)],
  [
    'an expectation',
    400,
    (origin) => head('POST / HTTP/1.1', origin, ['Expect: miracles', 'Content-Length: 0']),
  ],
  ['a Forwarded of no form', 400, (origin) => head('GET /sessions HTTP/1.1', origin, ['Forwarded: host="x'])],
  [
    'a body that does not come',
    408,
    (origin) => head('POST / HTTP/1.1', origin, ['Content-Type: application/json', 'Content-Length: 9']),
  ],
]

describe.each(REFUSED)('%s', (_what, status, request) => {
  test('is refused so that a page of a listed origin can read it', async () => {
    const { headers, body, ...answer } = await answerTo(request(LISTED))
    expect(answer.status).toBe(status)
    expect(headers).toMatchObject({
      'access-control-allow-origin': LISTED,
      'access-control-expose-headers': 'Retry-After',
      vary: 'Origin',
    })
    expect(body).toContain('{"error":{"code":')
  })

  test('and no other', async () => {
    const { headers, ...answer } = await answerTo(request('https://app.example.evil'))
    expect(answer.status).toBeGreaterThanOrEqual(400)
    expect(headers['vary']).toBe('Origin')
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control'))).toEqual([])
  })
})

test.each([
  ['a path that is no UTF-8', '/%ff'],
  ['half a character', '/sessions/%e2%82'],
  ['an address that is too long', `/sessions/${'x'.repeat(2000)}`],
])('a preflight for %s is answered', async (_what, path) => {
  const asks = ['Access-Control-Request-Method: GET', 'Access-Control-Request-Headers: authorization']
  const { status, headers } = await answerTo(head(`OPTIONS ${path} HTTP/1.1`, LISTED, asks))
  expect([status, headers['access-control-allow-origin'], headers['access-control-allow-headers']]).toEqual([
    204,
    LISTED,
    'authorization',
  ])
})

test.each(['text/html', 'application/json'])(
  'a page that depends on Accept (%s) depends on the origin too',
  async (accept) => {
    const { headers } = await fetch(runner.url, { headers: { accept } })
    expect(headers.get('vary')).toBe('Origin, Accept')
  },
)
