import { cpSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { RunnerError } from '../../src/errors.ts'
import { detectRoute, findClaude, type ModelRoute, wrapperPath } from '../../src/model-route/route.ts'
import type { RouteEnv } from '../../src/model-route/route-kind.ts'

const signal = new AbortController().signal
let wrappersDirectory = ''

beforeEach(() => {
  wrappersDirectory = join(mkdtempSync(join(tmpdir(), 'agui-wrappers-')), 'wrap pers')
  cpSync('wrappers', wrappersDirectory, { recursive: true })
})

afterEach(() => {
  rmSync(join(wrappersDirectory, '..'), { recursive: true })
})

const detect = (env: RouteEnv): Promise<ModelRoute> =>
  detectRoute({ env: { OPENSHELL_PROXY_TLS_DIR: '/nowhere', ...env }, wrappersDirectory, signal })

const codeOf = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => undefined,
    (thrown: unknown) => thrown,
  )
  return error instanceof RunnerError ? `${error.code}: ${error.message}` : String(error)
}

describe('a route', () => {
  test('is every fact that the wrapper acts on', async () => {
    const { secrets, ...route } = await detect({ ACP_OPENSHELL_INFERENCE: 'true', SSL_CERT_FILE: '/b.pem' })
    expect(route).toEqual({
      kind: 'gateway',
      reason: 'ACP_OPENSHELL_INFERENCE',
      baseUrl: 'https://inference.local',
      proxyUrl: 'http://10.200.0.1:3128',
      noProxy: '127.0.0.1,localhost,::1',
      caFile: '/nowhere/openshell-ca.pem',
      caBundle: '/b.pem',
      credential: 'placeholder',
    })
  })

  test('is none, with the reason, where nothing names one', async () => {
    const { secrets, ...route } = await detect({})
    expect(route).toEqual({
      kind: 'none',
      reason: 'nothing names a route',
      baseUrl: null,
      proxyUrl: null,
      noProxy: '',
      caFile: null,
      caBundle: null,
      credential: null,
    })
  })

  test('shows no secret however it is printed, and reveals them to who asks', async () => {
    const route = await detect({
      ANTHROPIC_BASE_URL: 'https://user:secret-1@gateway.example/?key=secret-2',
      ANTHROPIC_API_KEY: 'secret-3',
      ANTHROPIC_CUSTOM_HEADERS: 'X-Own: secret-4',
      https_proxy: 'http://user:secret-5@proxy.example',
    })
    const prints = [
      JSON.stringify(route),
      inspect(route, { depth: null, showHidden: true }),
      `${route.secrets}`,
    ]
    prints.push(
      JSON.stringify({ ...route }),
      JSON.stringify(Object.entries(route.secrets)),
      String(Object.keys(route)),
    )
    expect(prints.filter((text) => text.includes('secret-'))).toEqual([])
    expect(route).toMatchObject({
      baseUrl: 'https://***@gateway.example/?***',
      proxyUrl: 'http://***@proxy.example',
    })
    expect(route.secrets.reveal()).toEqual({
      baseUrl: 'https://user:secret-1@gateway.example/?key=secret-2',
      proxy: {
        isSecure: false,
        host: 'proxy.example',
        port: 80,
        authorization: `Basic ${btoa('user:secret-5')}`,
      },
      headers: { 'x-api-key': 'secret-3', 'x-own': 'secret-4' },
    })
  })

  test.each([
    ['https_proxy', 'HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
    ['HTTPS_PROXY', 'http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
    ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
    ['HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
    ['all_proxy', 'ALL_PROXY'],
    ['ALL_PROXY'],
  ])('over https takes %s first', async (...names) => {
    const proxies = Object.fromEntries(
      names.map((name) => [name, `http://${name.toLowerCase()}-${name}.example`]),
    )
    const route = await detect({ ...proxies, ANTHROPIC_API_KEY: 'k' })
    expect(route.proxyUrl).toBe(proxies[names[0] ?? ''])
  })

  test('over http takes the same', async () => {
    const env = {
      ANTHROPIC_BASE_URL: 'http://a.example',
      HTTPS_PROXY: 'http://p.example',
      HTTP_PROXY: 'http://q.example',
    }
    expect((await detect(env)).proxyUrl).toBe('http://p.example')
  })

  test('that NO_PROXY leads past the proxy has none', async () => {
    const env = { ANTHROPIC_BASE_URL: 'http://10.1.2.3:8080', HTTPS_PROXY: 'http://p.example' }
    const route = await detect({ ...env, NO_PROXY: '10.0.0.0/8' })
    expect([route.proxyUrl, route.secrets.reveal().proxy]).toEqual([null, null])
    expect((await detect({ ...env, NO_PROXY: '10.*' })).proxyUrl).toBe('http://p.example')
  })
})

describe('detection fails', () => {
  test.each([{ HTTPS_PROXY: 'socks5://user:s3cret@proxy.example' }, { HTTP_PROXY: 'proxy.example:3128' }])(
    'as config_invalid for the proxy of %o, without its value',
    async (env) => {
      const said = await codeOf(detect({ ANTHROPIC_API_KEY: 'k', ...env }))
      expect(said).toMatch(/^config_invalid: HTTPS?_PROXY is not the address of an http or https proxy/)
      expect(said).not.toContain('s3cret')
    },
  )

  test('past NO_PROXY too, for what is no address at all', async () => {
    const past = { ANTHROPIC_API_KEY: 'k', NO_PROXY: '*' }
    expect((await detect({ ...past, HTTPS_PROXY: 'socks5://proxy.example' })).proxyUrl).toBeNull()
    expect(await codeOf(detect({ ...past, HTTP_PROXY: 'proxy.example:3128' }))).toMatch(/^config_invalid/)
  })

  test.each(['gateway.example', 'ftp://gateway.example', 'https://', 'https://a b', 'x'])(
    'as config_invalid for the base URL %s',
    async (url) => {
      expect(await codeOf(detect({ ANTHROPIC_BASE_URL: url }))).toBe(
        'config_invalid: ANTHROPIC_BASE_URL is not an http or https address, such as https://gateway.example',
      )
    },
  )

  test('naming the file, when the shell code is missing', async () => {
    rmSync(join(wrappersDirectory, 'model-route.sh'))
    expect(await codeOf(detect({}))).toMatch(
      /^internal: .*model-route\.sh failed .*; the wrappers folder has to be complete$/s,
    )
  })

  test.each([
    ['prints nothing', ''],
    ['prints another kind', 'printf "AGUI_ROUTE_KIND=magic\\0"'],
    ['prints half', 'printf "AGUI_ROUTE_KIND=gateway\\0AGUI_ROUTE_REASON=x\\0"'],
  ])('when the shell code %s', async (_, script) => {
    writeFileSync(join(wrappersDirectory, 'model-route.sh'), script)
    expect(await codeOf(detect({}))).toMatch(/^internal: model-route\.sh printed facts that are not a route/)
  })

  test('with the reason of a caller that gave up', async () => {
    const reason = new Error('enough')
    const options = { env: {}, wrappersDirectory, signal: AbortSignal.abort(reason) }
    await expect(detectRoute(options)).rejects.toBe(reason)
    writeFileSync(join(wrappersDirectory, 'model-route.sh'), 'exec sleep 60')
    const controller = new AbortController()
    const pending = detectRoute({ env: {}, wrappersDirectory, signal: controller.signal })
    controller.abort(reason)
    await expect(pending).rejects.toBe(reason)
  })
})

describe('the binary', () => {
  test('is the one npm installed, found as the wrapper finds it', async () => {
    const path = await findClaude({ env: {}, wrappersDirectory: 'wrappers', signal })
    expect(path).toMatch(/\/node_modules\/@anthropic-ai\/claude-agent-sdk-linux-(x64|arm64)\/claude$/)
  })

  test('is what CLAUDE_CLI_PATH names', async () => {
    const env = { CLAUDE_CLI_PATH: '/usr/bin/env' }
    expect(await findClaude({ env, wrappersDirectory, signal })).toBe('/usr/bin/env')
  })

  test.each([
    [{}, /^claude_not_found: Claude Code is not installed under /],
    [{ LD_PRELOAD: '/nowhere.so' }, /^claude_not_found: Claude Code is not installed under /],
    [
      { CLAUDE_CLI_PATH: '/nowhere' },
      /^claude_not_found: CLAUDE_CLI_PATH \(\/nowhere\) is not an executable file$/,
    ],
  ])('that is missing is claude_not_found (%j)', async (env, message) => {
    expect(await codeOf(findClaude({ env, wrappersDirectory, signal }))).toMatch(message)
  })

  test('that is a wrapper is claude_not_found', async () => {
    const env = { CLAUDE_CLI_PATH: join(wrappersDirectory, 'standard-claude-wrapper.sh') }
    expect(await codeOf(findClaude({ env, wrappersDirectory, signal }))).toMatch(
      /^claude_not_found: .* is this wrapper/,
    )
  })
})

test.each([
  [{}, 'openshell-claude-wrapper.sh'],
  [{ OPENSHELL_ENABLED: '' }, 'openshell-claude-wrapper.sh'],
  [{ OPENSHELL_ENABLED: 'true' }, 'standard-claude-wrapper.sh'],
])('with %j the server starts %s', (env, name) => {
  expect(wrapperPath(env, '/w')).toBe(`/w/${name}`)
})
