import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { readAssets } from '../../src/console/assets.ts'
import { bodyOf } from '../support/client.ts'
import { type Bench, openBench } from '../support/runner.ts'

/** A kilobyte is a thousand. */
const GZIP_BYTES_MAX = 90_000

/** What Chromium sends when an address is typed. */
const TYPED = 'text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8'

let bench: Bench
let url: string

beforeAll(async () => {
  bench = await openBench()
  const runner = await bench.open({ AGUI_TOKEN: 'only-for-data' })
  url = runner.url
})
afterAll(() => bench.close())

const openConsole = (accept = TYPED): Promise<Response> => fetch(`${url}/`, { headers: { accept } })

async function addressOfMain(): Promise<string> {
  const [, address] =
    /<script type="module"[^>]* src="([^"]+)"/.exec(await (await openConsole()).text()) ?? []
  if (address === undefined) throw new Error('the page loads no module')
  return address
}

test('a browser gets the page without the token, under a policy that lets only its own scripts run', async () => {
  const response = await openConsole()
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'text/html; charset=utf-8'])
  const html = await response.text()
  const nonce = /nonce="([^"]+)"/.exec(html)?.[1]
  const policy = response.headers.get('content-security-policy') ?? ''
  const directives = new Map(policy.split('; ').map((directive) => [directive.split(' ')[0], directive]))
  expect(directives.get('default-src')).toBe("default-src 'none'")
  expect(directives.get('script-src')).toMatch(/^script-src 'sha256-[\w+/=]{44}' 'nonce-[\w+/=]{24}'$/)
  expect(directives.get('script-src')).toContain(`'nonce-${nonce}'`)
  expect(directives.get('img-src')).toBe('img-src blob:')
  expect(directives.get('require-trusted-types-for')).toBe("require-trusted-types-for 'script'")
  expect(html).not.toMatch(/https?:\/\//)
  const again = await (await openConsole()).text()
  expect(again).not.toContain(nonce)
})

test('the page opens no door: what it shows needs the token', async () => {
  for (const path of ['/sessions', '/ready']) {
    const refused = await fetch(`${url}${path}`, { headers: { accept: TYPED } })
    expect([path, refused.status]).toEqual([path, 401])
  }
})

test.each(['*/*', 'application/json', 'text/event-stream'])(
  'whoever accepts %s is told where runs go',
  async (accept) => {
    const response = await openConsole(accept)
    expect([response.status, response.headers.get('vary')]).toEqual([404, 'Accept'])
    expect(await bodyOf(response)).toMatchObject({ error: { code: 'not_found', message: /POST \// } })
  },
)

test('a page of another host name gets nothing', async () => {
  const main = await addressOfMain()
  for (const path of ['/', `/${main}`]) {
    const refused = await fetch(`${url}${path}`, {
      headers: { accept: TYPED, origin: 'http://evil.example' },
    })
    expect([path, refused.status]).toEqual([path, 403])
  }
})

test('the page is one module that imports nothing, to be kept for ever under its address', async () => {
  const response = await fetch(`${url}/${await addressOfMain()}`)
  expect(response.status).toBe(200)
  expect(response.headers.get('content-type')).toBe('text/javascript; charset=utf-8')
  expect(response.headers.get('cache-control')).toContain('immutable')
  expect(response.headers.get('x-content-type-options')).toBe('nosniff')
  expect(await response.text()).not.toMatch(/^(import|export) .*from /m)
})

test.each([
  ['of another version', (main: string) => main.replace(/\/\w+\//, '/0000000000000000/')],
  ['that is none', (main: string) => main.replace('main.js', 'none.js')],
  ['outside', (main: string) => main.replace('main.js', '..%2f..%2fassets.js')],
])('a module %s is not there', async (_what, change) => {
  const response = await fetch(`${url}/${change(await addressOfMain())}`)
  expect(response.status).toBe(404)
})

test('a server that runs from its sources serves the same modules', async () => {
  const { version, files } = await readAssets()
  expect(await addressOfMain()).toBe(`console/${version}/main.js`)
  expect(files.has('main.js')).toBe(true)
})

test(`the console is at most ${GZIP_BYTES_MAX} bytes, zipped`, async () => {
  const { files } = await readAssets()
  const bytes = gzipSync(files.get('main.js') ?? '', { level: 9 }).length
  console.log(`console: ${bytes} bytes, zipped`)
  expect(bytes).toBeGreaterThan(10_000)
  expect(bytes).toBeLessThanOrEqual(GZIP_BYTES_MAX)
})
