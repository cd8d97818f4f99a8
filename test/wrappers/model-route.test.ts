import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { childEnvironment } from '../../src/model-route/environment.ts'
import { detectRoute, type ModelRoute } from '../../src/model-route/route.ts'
import type { RouteRow, Tls } from './route-row.ts'
import { ROUTE_ROWS } from './route-rows.ts'
import { readPairs, run, SHELLS, WRAPPERS, wrapperEnvironment } from './shell-run.ts'

const WRAPPER = join(WRAPPERS, 'openshell-claude-wrapper.sh')
const STANDARD_WRAPPER = join(WRAPPERS, 'standard-claude-wrapper.sh')
const MODEL_ROUTE = join(WRAPPERS, 'model-route.sh')

/** What every start of Claude Code gets, whatever the route. */
const SETTINGS = {
  AGUI_CLAUDE_DEPTH: '1',
  CLAUDE_CLI_PATH: '/usr/bin/env',
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
  DISABLE_AUTOUPDATER: '1',
  DISABLE_ERROR_REPORTING: '1',
  DISABLE_TELEMETRY: '1',
}

const CHILD_OPTIONS = { retriesMax: 2, apiTimeoutMs: 5000, streamHoldMs: 0, isSandboxed: false, alsoPass: [] }

const signal = new AbortController().signal
let folder = ''

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'agui route '))
  for (const tls of ['empty', 'ca', 'ca+bundle'] as const) mkdirSync(join(folder, tls))
  for (const tls of ['ca', 'ca+bundle']) writeFileSync(join(folder, tls, 'openshell-ca.pem'), '')
  writeFileSync(join(folder, 'ca+bundle', 'ca-bundle.pem'), '')
  symlinkSync('openshell-ca.pem', join(folder, 'ca+bundle', 'link.pem'))
})

afterAll(() => {
  rmSync(folder, { recursive: true })
})

function placed(env: Readonly<Record<string, string>>, tls: Tls = 'empty'): Record<string, string> {
  const values = Object.entries(env).map(([name, value]) => [
    name,
    value.replaceAll('<tls>', join(folder, tls)),
  ])
  return Object.fromEntries(values)
}

function inputOf(row: RouteRow): Record<string, string> {
  const place = { PATH: '/usr/bin:/bin', HOME: folder, OPENSHELL_PROXY_TLS_DIR: '<tls>' }
  return placed({ ...place, ...row.env }, row.tls)
}

function expectedOf(row: RouteRow): Record<string, string> {
  const expected = { ...inputOf(row), ...SETTINGS, ...placed(row.adds ?? {}, row.tls) }
  return Object.fromEntries(Object.entries(expected).filter(([name]) => !row.drops?.includes(name)))
}

describe.each(SHELLS)('the wrapper run by %s %s', (...shell) => {
  test.each(ROUTE_ROWS)('$title', (row) => {
    expect(wrapperEnvironment(shell, WRAPPER, inputOf(row))).toEqual(expectedOf(row))
  })

  test.each(ROUTE_ROWS)('nested, $title and nothing more', (row) => {
    // The environment of the outer one, as the test before has found it.
    const first = expectedOf(row)
    expect(wrapperEnvironment(shell, WRAPPER, first)).toEqual({ ...first, AGUI_CLAUDE_DEPTH: '2' })
  })

  test.each(ROUTE_ROWS)('printed, $title without a secret', (row) => {
    const printed = readPairs(run([...shell, MODEL_ROUTE, '--print'], { env: inputOf(row) }).stdout)
    expect(printed).toMatchObject({ AGUI_ROUTE_KIND: row.kind, AGUI_ROUTE_CREDENTIAL: row.credential })
    expect(Object.values(printed).filter((value) => /secret|password|sk-/.test(value))).toEqual([])
  })

  test('sourced, it prints nothing, starts nothing and changes no variable', () => {
    const env = { PATH: '/nowhere', HOME: folder, ACP_OPENSHELL_INFERENCE: '1' }
    const script = '. "$1"; command -v agui_route; /usr/bin/env -0'
    const done = run([...shell, '-c', script, 'sh', MODEL_ROUTE], { env })
    expect(done).toMatchObject({ code: 0, stderr: '' })
    expect(done.stdout).toMatch(/^agui_route\n/)
    expect(readPairs(done.stdout.replace('agui_route\n', ''))).toMatchObject(env)
    expect(done.stdout).not.toContain('inference.local')
  })

  test('without --print it says how it is used', () => {
    const done = run([...shell, MODEL_ROUTE], { env: { ACP_OPENSHELL_INFERENCE: '1' } })
    expect(done).toEqual({ code: 2, stdout: '', stderr: 'usage: sh model-route.sh --print\n' })
  })

  test('it needs no command in PATH', () => {
    const done = run([...shell, MODEL_ROUTE, '--print'], {
      env: { PATH: '/nowhere', ACP_OPENSHELL_INFERENCE: '1' },
    })
    expect(done).toMatchObject({ code: 0, stderr: '' })
  })

  test.each([
    ['http://user:password@proxy.example:1', 'http://***@proxy.example:1'],
    ['http://password@proxy.example:1', 'http://***@proxy.example:1'],
    ['http://user:pass@word@proxy.example:1', 'http://***@proxy.example:1'],
    ['http://user:pass/word?secret@proxy.example:1', 'http://***@proxy.example:1'],
    ['user:password@proxy.example:1', '***@proxy.example:1'],
    ['http://proxy.example:1/?password=x', 'http://proxy.example:1/?***'],
    ['http://proxy.example:1', 'http://proxy.example:1'],
  ])('the proxy %s is printed as %s', (proxy, shown) => {
    const env = { ANTHROPIC_API_KEY: 'sk-secret', HTTPS_PROXY: proxy }
    const printed = readPairs(run([...shell, MODEL_ROUTE, '--print'], { env }).stdout)
    expect(printed).toMatchObject({ AGUI_ROUTE_PROXY: shown, AGUI_ROUTE_PROXY_VARIABLE: 'HTTPS_PROXY' })
  })

  test('values with spaces, quotes, line breaks and shell syntax pass unchanged', () => {
    const odd = 'a b\'c"d\n$(touch x)`touch x`;*\\'
    const env = {
      HOME: folder,
      PATH: odd,
      ANTHROPIC_API_KEY: odd,
      NODE_EXTRA_CA_CERTS: odd,
      HTTPS_PROXY: odd,
    }
    expect(wrapperEnvironment(shell, WRAPPER, { ...env, ACP_OPENSHELL_INFERENCE: '1' })).toMatchObject(env)
  })
})

test('two shells at least were tried', () => {
  expect(SHELLS.length).toBeGreaterThanOrEqual(2)
})

describe('the server and the wrapper', () => {
  const shownBy = (route: ModelRoute, env: Readonly<Record<string, string>>): unknown => ({
    noProxy: env['no_proxy'] ?? env['NO_PROXY'] ?? '',
    caFile: env['NODE_EXTRA_CA_CERTS'] ?? null,
    caBundle: env['SSL_CERT_FILE'] ?? null,
    ...(route.kind === 'gateway' && { baseUrl: env['ANTHROPIC_BASE_URL'], proxyUrl: env['https_proxy'] }),
  })

  test.each(ROUTE_ROWS)('$title: they find the same', async (row) => {
    const env = inputOf(row)
    const route = await detectRoute({ env, wrappersDirectory: WRAPPERS, signal })
    expect(route).toMatchObject({ kind: row.kind, credential: row.credential || null })
    expect(route).toMatchObject(shownBy(route, expectedOf(row)) as object)
  })

  test.each(ROUTE_ROWS)('$title: what the server passes on leads to the same route', async (row) => {
    const env = inputOf(row)
    const route = await detectRoute({ env, wrappersDirectory: WRAPPERS, signal })
    const child = childEnvironment(env, { ...CHILD_OPTIONS, routeKind: route.kind })
    const again = await detectRoute({ env: child, wrappersDirectory: WRAPPERS, signal })
    const { credential, reason, ...same } = route
    expect(JSON.parse(JSON.stringify(again))).toMatchObject(JSON.parse(JSON.stringify(same)))
    const [full, reduced] = [env, child].map((given) => wrapperEnvironment(['/bin/sh'], WRAPPER, given))
    for (const [name, value] of Object.entries(reduced ?? {})) {
      const isOurs = name in CHILD_SETTINGS || (route.kind === 'gateway' && name === 'ANTHROPIC_API_KEY')
      if (!isOurs) expect([name, value]).toEqual([name, full?.[name]])
    }
  })

  const CHILD_SETTINGS = childEnvironment({}, { ...CHILD_OPTIONS, routeKind: 'none' })
})

test.each(ROUTE_ROWS)('the file-mode wrapper when it is off: $title', (row) => {
  expect(wrapperEnvironment(['/bin/sh'], STANDARD_WRAPPER, inputOf(row))).toEqual(expectedOf(row))
})
