import type { RequestListener } from 'node:http'
import { afterEach, describe, expect, test } from 'vitest'
import { closeAll, edge, json, plainServer, probe } from './probe-run.ts'

afterEach(closeAll)

describe('a base URL elsewhere', () => {
  const asked: string[] = []
  const record: RequestListener = (request, response) => {
    const { authorization, 'x-api-key': key, 'x-own': own } = request.headers
    asked.push([request.method, request.url, authorization ?? '', key ?? '', own ?? ''].join(' '))
    response.end('{}')
  }

  afterEach(() => {
    asked.length = 0
  })

  test.each([
    ['', {}, 'GET /v1/models  inference-routing '],
    ['/', {}, 'GET /v1/models  inference-routing '],
    ['/base/path/', {}, 'GET /base/path/v1/models  inference-routing '],
    ['/?tenant=a', {}, 'GET /v1/models?tenant=a  inference-routing '],
    ['', { ANTHROPIC_API_KEY: 'k' }, 'GET /v1/models  k '],
    ['', { ANTHROPIC_AUTH_TOKEN: 't' }, 'GET /v1/models Bearer t  '],
    [
      '',
      { ANTHROPIC_API_KEY: 'k', ANTHROPIC_CUSTOM_HEADERS: 'X-Own: a: b \nbroken\n' },
      'GET /v1/models  k a: b',
    ],
  ])('%j with %j is asked as Claude Code would', async (path, env, expected) => {
    const { url } = await plainServer(record)
    expect(await probe({ ANTHROPIC_BASE_URL: url + path, ...env })).toEqual({ ok: true })
    expect(asked).toEqual([expected])
  })

  test('with credentials in it is asked with them', async () => {
    const { url } = await plainServer(record)
    const withUser = url.replace('://', '://user:p%40ss@')
    expect(await probe({ ANTHROPIC_BASE_URL: withUser })).toEqual({ ok: true })
    expect(asked).toEqual([`GET /v1/models Basic ${btoa('user:p@ss')} inference-routing `])
  })

  test.each([
    ['placeholder', {}, 'it wants a key; set ANTHROPIC_API_KEY or ANTHROPIC_AUTH_TOKEN'],
    ['key', { ANTHROPIC_API_KEY: 'sk-secret' }, 'check ANTHROPIC_API_KEY'],
    ['token', { ANTHROPIC_AUTH_TOKEN: 'secret' }, 'check ANTHROPIC_AUTH_TOKEN'],
  ])('that refuses the %s says which variable to look at, and repeats no body', async (_, env, action) => {
    const { url } = await plainServer(json(401, { error: 'the key sk-secret is wrong' }))
    expect(await probe({ ANTHROPIC_BASE_URL: url, ...env })).toEqual({
      ok: false,
      code: 'model_unauthorized',
      message: `${url} answered 401: ${action}`,
    })
  })

  test('over http goes through HTTP_PROXY as a whole address, with its credentials', async () => {
    const started = await edge()
    const proxy = started.proxyUrl.replace('://', '://user:p%40ss@')
    expect(await probe({ ANTHROPIC_BASE_URL: 'http://gateway.example', HTTP_PROXY: proxy })).toEqual({
      ok: true,
    })
    expect(started.asked).toEqual(['GET http://gateway.example/v1/models'])
    expect(started.proxyCredentials).toEqual([`Basic ${btoa('user:p@ss')}`])
  })

  test('over https tunnels, with the credentials of the proxy', async () => {
    const started = await edge({ host: 'gateway.example' })
    const env = { ANTHROPIC_BASE_URL: 'https://gateway.example:8443', NODE_EXTRA_CA_CERTS: started.caFile }
    expect(await probe({ ...env, HTTPS_PROXY: started.proxyUrl.replace('://', '://user@') })).toEqual({
      ok: true,
    })
    expect(started.asked).toEqual(['gateway.example:8443'])
    expect(started.proxyCredentials).toEqual([`Basic ${btoa('user:')}`])
  })

  test.each([
    ['127.0.0.1', true],
    ['localhost, 127.0.0.1', true],
    ['127.0.0.1:PORT', true],
    ['*', true],
    ['127.0.0.0/8', true],
    ['127.*', false],
    ['0.0.1', false],
    ['127.0.0.1:1', false],
    ['27.0.0.1', false],
    ['example.com,::1', false],
    ['', false],
  ])('NO_PROXY=%s: past the proxy %s', async (noProxy, isDirect) => {
    const started = await edge()
    const { url } = await plainServer(record)
    const value = noProxy.replace('PORT', new URL(url).port)
    await probe({ ANTHROPIC_BASE_URL: url, HTTP_PROXY: started.proxyUrl, NO_PROXY: value })
    expect([asked.length, started.asked.length]).toEqual(isDirect ? [1, 0] : [0, 1])
  })

  test.each(['::1', '[::1]', '[::1]:PORT'])('NO_PROXY=%s excludes an IPv6 address', async (noProxy) => {
    const started = await edge()
    const value = noProxy.replace('PORT', '9')
    await probe({ ANTHROPIC_BASE_URL: 'http://[::1]:9', HTTP_PROXY: started.proxyUrl, NO_PROXY: value })
    expect(started.asked).toEqual([])
  })
})

describe('the direct routes', () => {
  test('an API key is shown to Anthropic, through the proxy', async () => {
    const started = await edge({ host: 'api.anthropic.com' })
    const env = { HTTPS_PROXY: started.proxyUrl, NODE_EXTRA_CA_CERTS: started.caFile, ANTHROPIC_API_KEY: 'k' }
    expect(await probe(env)).toEqual({ ok: true })
    expect(started.asked).toEqual(['api.anthropic.com:443'])
    expect(started.requests).toMatchObject([{ path: '/v1/models', headers: { 'x-api-key': 'k' } }])
  })

  test('an OAuth token is not, and the refusal that follows shows that somebody is there', async () => {
    const started = await edge({ host: 'api.anthropic.com', answer: json(401, { type: 'error' }) })
    const env = {
      HTTPS_PROXY: started.proxyUrl,
      NODE_EXTRA_CA_CERTS: started.caFile,
      CLAUDE_CODE_OAUTH_TOKEN: 'secret',
    }
    expect(await probe(env)).toEqual({ ok: true })
    expect(JSON.stringify(started.requests)).not.toContain('secret')
    expect(started.requests).toHaveLength(1)
  })

  test.each([{ CLAUDE_CODE_USE_VERTEX: '1' }, { CLAUDE_CODE_USE_BEDROCK: '1' }])(
    '%j passes unasked',
    async (env) => {
      const started = await edge()
      expect(await probe({ ...env, HTTPS_PROXY: started.proxyUrl })).toEqual({ ok: true })
      expect(started.asked).toEqual([])
    },
  )
})
