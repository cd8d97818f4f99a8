import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { findClaude } from '../src/model-route/route.ts'
import { type HttpProxy, proxySettings } from '../src/proxy-settings.ts'
import { NO_PROXY_ROWS, PROXY_ROWS, type ProxyRow } from './proxy-rows.ts'

const PROXY = 'http://127.0.0.1:3128'

function targetOf(url: string): { host: string; port: number } {
  const { hostname, port, protocol } = new URL(url)
  return { host: hostname, port: Number(port || (protocol === 'https:' ? 443 : 80)) }
}

const wayOf = ({ env, url }: Omit<ProxyRow, 'via'>): string => {
  try {
    return addressOf(proxySettings(env).proxyFor(targetOf(url)))
  } catch (error) {
    expect(error).toMatchObject({ code: 'config_invalid' })
    return 'refused'
  }
}

function addressOf(proxy: HttpProxy | undefined): string {
  if (proxy === undefined) return 'direct'
  return `${proxy.host.includes(':') ? `[${proxy.host}]` : proxy.host}:${proxy.port}`
}

describe('as Claude Code reads it', () => {
  test.each(NO_PROXY_ROWS)(
    'NO_PROXY=$noProxy for $url is direct: $isDirect',
    ({ noProxy, url, isDirect }) => {
      expect(wayOf({ env: { HTTPS_PROXY: PROXY, NO_PROXY: noProxy }, url })).toBe(
        isDirect ? 'direct' : '127.0.0.1:3128',
      )
    },
  )

  test.each(PROXY_ROWS)('$env for $url goes $via', ({ via, ...row }) => {
    expect(wayOf(row)).toBe(via)
  })

  test('credentials are sent as they are meant, also a name without a password', () => {
    const sent = (proxy: string) =>
      proxySettings({ HTTPS_PROXY: proxy }).proxyFor(targetOf('https://a.example'))
    expect(sent('http://u:p%40s@127.0.0.1')).toEqual({
      isSecure: false,
      host: '127.0.0.1',
      port: 80,
      authorization: `Basic ${btoa('u:p@s')}`,
    })
    expect(sent('https://u@[::1]')).toEqual({
      isSecure: true,
      host: '::1',
      port: 443,
      authorization: `Basic ${btoa('u:')}`,
    })
    expect(sent('http://127.0.0.1')?.authorization).toBeUndefined()
    expect(sent('http://u:%zz@127.0.0.1')?.authorization).toBeUndefined()
  })

  test('a value that cannot be used is named without itself', () => {
    const ask = () => proxySettings({ HTTPS_PROXY: 'u:s3cret@host' }).proxyFor(targetOf('https://a.example'))
    expect(ask).toThrow(/^HTTPS_PROXY is not the address of an http or https proxy/)
    expect(ask).not.toThrow(/s3cret/)
  })
})

/** Of the rows, how many the real binary is asked about: one in so many, or `all`. */
const EVERY = process.env['AGUI_PROXY_ROWS'] === 'all' ? 1 : 24

describe('the real Claude Code does the same', () => {
  let claude = ''
  let directory = ''
  const proxy: Server = createServer()
  const direct: Server = createServer()
  let onHit: ((by: 'proxy' | 'direct') => void) | undefined
  const portOf = (server: Server): number => {
    const address = server.address()
    return typeof address === 'object' && address !== null ? address.port : 0
  }

  beforeAll(async () => {
    const options = { env: process.env, wrappersDirectory: 'wrappers', signal: new AbortController().signal }
    claude = await findClaude(options)
    directory = mkdtempSync(join(tmpdir(), 'agui-proxies-'))
    for (const [server, by] of [
      [proxy, 'proxy'],
      [direct, 'direct'],
    ] as const) {
      server.on('connection', (socket) => {
        socket.on('error', () => socket.destroy())
        socket.once('data', () => {
          onHit?.(by)
          socket.end('HTTP/1.1 400 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')
        })
      })
      // Both families, for addresses of both are asked for.
      await once(server.listen(0, '::'), 'listening')
    }
  })
  afterAll(() => {
    proxy.close()
    direct.close()
    rmSync(directory, { recursive: true })
  })

  const asked = NO_PROXY_ROWS.filter((_row, at) => at % EVERY === 0)

  test.each(asked)('NO_PROXY=$noProxy for $url is direct: $isDirect', async ({ noProxy, url, isDirect }) => {
    const own = String(portOf(direct))
    const child = spawn(claude, ['-p', 'hi', '--model', 'claude-opus-5-5'], {
      cwd: directory,
      stdio: 'ignore',
      env: {
        PATH: process.env['PATH'],
        HOME: directory,
        CLAUDE_CODE_MAX_RETRIES: '0',
        CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1',
        ANTHROPIC_API_KEY: 'none',
        HTTPS_PROXY: `http://127.0.0.1:${portOf(proxy)}`,
        HTTP_PROXY: `http://127.0.0.1:${portOf(proxy)}`,
        // Where a server of ours can be, there is one.
        ANTHROPIC_BASE_URL: url.replace(/:8080$/, `:${own}`),
        NO_PROXY: noProxy.replace(/:8080$/, `:${own}`),
      },
    })
    const ended = once(child, 'close')
    const hit = new Promise<string>((resolve) => {
      onHit = resolve
    })
    // Past the proxy a name of nobody's leads nowhere, which ends it.
    const way = await Promise.race([hit, ended.then(() => 'direct')])
    child.kill('SIGKILL')
    await ended
    expect(way).toBe(isDirect ? 'direct' : 'proxy')
  })
})
