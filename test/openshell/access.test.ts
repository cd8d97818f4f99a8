// Who calls: certificates, tokens that end, and what stands before the gateway. No token is in what is said.
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { status } from '@grpc/grpc-js'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { Access, type AccessOptions } from '../../src/openshell/access.ts'
import { createAuthority } from '../../src/tunnel/authority.ts'
import { type OpenShellBench, openShellBench } from '../support/openshell-launch.ts'

let folder = ''
let bench: OpenShellBench | undefined
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agui-openshell-test-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
afterEach(async () => {
  await bench?.close()
  bench = undefined
})

const file = (name: string, text: string): string => {
  const path = join(folder, name)
  writeFileSync(path, text)
  return path
}
const signal = new AbortController().signal

test('a certificate of one’s own', async () => {
  const authority = createAuthority('gateway')
  const at = (name: string): string => join(folder, name)
  const words = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-subj', '/CN=me']
  const out = ['-keyout', at('tls.key'), '-out', at('tls.crt'), '-days', '2']
  execFileSync('openssl', ['req', '-x509', ...words, ...out], { stdio: 'ignore' })
  const tls = { ...authority.issue('localhost'), clientCa: readFileSync(at('tls.crt'), 'utf8') }
  bench = await openShellBench({ tls })
  const tlsCa = file('ca.crt', authority.pem)
  const gateway = await bench.gateway({ tlsCa, tlsCert: at('tls.crt'), tlsKey: at('tls.key') })
  await gateway.call('ListSandboxes', {}, signal)
  await expect(bench.gateway({ tlsCa })).rejects.toThrow(/^Health failed \(UNAVAILABLE\)/)
  await expect(bench.gateway({ tlsCert: at('tls.crt'), tlsKey: at('tls.key') })).rejects.toThrow(
    /UNAVAILABLE/,
  )
})

test('a token that ends is read anew; one that is not replaced is said to have ended, and is not said', async () => {
  bench = await openShellBench()
  const { server } = bench
  const tokenFile = file('token', 'token-one\n')
  server.tokens.add('token-one')
  const gateway = await bench.gateway({ tokenFile })
  await gateway.call('ListSandboxes', {}, signal)
  server.tokens.clear()
  server.tokens.add('token-two')
  const expired = gateway.call('ListSandboxes', {}, signal)
  await expect(expired).rejects.toThrow(
    'ListSandboxes failed (UNAUTHENTICATED): token expired; sign in anew, and give the token (--token-file, --edge-token-file) or the certificate (--tls-cert, --tls-key)',
  )
  // Replaced between two calls, and while one is under way.
  file('token', 'token-two')
  await gateway.call('ListSandboxes', {}, signal)
  server.tokens.clear()
  server.tokens.add('token-three')
  server.onUnauthorized = () => void file('token', 'token-three')
  await gateway.call('ListSandboxes', {}, signal)
  // Whoever signs in anew may empty the file before it is written.
  file('token', '')
  await gateway.call('ListSandboxes', {}, signal)
  rmSync(join(folder, 'token'))
  await gateway.call('ListSandboxes', {}, signal)
})

test('what a caller shows to Cloudflare Access', async () => {
  bench = await openShellBench()
  const gateway = await bench.gateway({ edgeTokenFile: file('edge', 'e.d.ge') })
  await gateway.call('ListSandboxes', {}, signal)
  expect(bench.server.calls.at(-1)?.metadata).toMatchObject({
    'cf-access-jwt-assertion': 'e.d.ge',
    cookie: 'CF_Authorization=e.d.ge',
  })
})

test.each<[Partial<AccessOptions>, RegExp]>([
  [{ gateway: 'gateway:1' }, /the gateway is http:/],
  [{ gateway: 'https://user:pass@gateway' }, /the gateway is http:/],
  [{ gateway: 'https://gateway/path' }, /the gateway is http:/],
  [{ gateway: 'grpc://gateway' }, /the gateway is http:/],
  [
    { gateway: 'http://gateway.example', tokenFile: 'x' },
    /a token would go to gateway\.example in the clear/,
  ],
  [{ gateway: 'http://[fd00::1]:1', edgeTokenFile: 'x' }, /a token would go to fd00::1 in the clear/],
  [{ tokenFile: 'x', edgeTokenFile: 'y' }, /exclude each other/],
  [{ gateway: 'https://gateway', tlsCert: 'x' }, /belong together/],
  [{ gateway: 'http://localhost', tlsCa: 'x' }, /is not https/],
  [{ gateway: 'https://gateway', tlsCa: '/no/such' }, /CA file \/no\/such cannot be read/],
  [
    { gateway: 'https://gateway', tlsCert: 'package.json', tlsKey: 'package.json' },
    /TLS: a certificate or key is not usable/,
  ],
])('%j is refused', (options, message) => {
  expect(() => new Access({ gateway: 'http://127.0.0.1:1', ...options })).toThrow(message)
})

test.each(['', 'two tokens', 'a;b=c', 'é'])('%j is no token, and is not said', async (text) => {
  const access = new Access({ gateway: 'http://127.0.0.1:1', tokenFile: file('wrong', text) })
  await expect(access.metadata()).rejects.toThrow(/wrong holds no token, or more than one\.$/)
})

test('a gateway that takes what it is sent and says nothing', async () => {
  bench = await openShellBench()
  const gateway = await bench.gateway()
  bench.server.faults.isSilent = true
  const stop = new AbortController()
  const asked = gateway.call('ListSandboxes', {}, stop.signal)
  asked.catch(() => undefined)
  stop.abort(new Error('enough'))
  await expect(asked).rejects.toThrow('enough')
})

test('a gateway that is away is asked again, and comes back', async () => {
  bench = await openShellBench()
  const { server } = bench
  const gateway = await bench.gateway()
  server.faults.refuse = (_method, nth) =>
    nth < 4 ? { code: status.UNAVAILABLE, details: 'starting' } : undefined
  await gateway.call('ListSandboxes', {}, signal)
  expect(server.count('ListSandboxes')).toBe(4)
})
