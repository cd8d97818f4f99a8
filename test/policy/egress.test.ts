import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { ask, BINARY, HOST, policyWith } from './access-question.ts'
import { policyOf } from './policy-source.ts'

describe('who may connect where', () => {
  test('an unknown binary counts as any listed one, and the reason says so', () => {
    const decision = ask(policyWith(HOST), { binary: undefined })
    expect(decision).toMatchObject({
      verdict: 'allow',
      stage: 'l4',
      rule: 'a',
      tls: 'terminate',
      inspect: false,
    })
    expect(decision.reason).toContain('the binary is not known')
    const nobody = policyOf({ version: 1, network_policies: { a: { endpoints: [HOST] } } })
    expect(ask(nobody, { binary: undefined }).verdict).toBe('deny')
  })

  test('a refusal names the rules that admit the host, and the process that is not in them', () => {
    const decision = ask(policyWith(HOST, HOST), { binary: '/bin/curl', ancestors: ['/bin/sh'] })
    expect(decision).toEqual({
      verdict: 'deny',
      stage: 'l4',
      rule: 'a',
      reason: 'a.example.com:443 is allowed by "a", "b", but not for /bin/curl (started by /bin/sh)',
    })
  })

  test('a glob binary covers ancestors too', () => {
    const policy = policyOf({
      version: 1,
      network_policies: { a: { endpoints: [HOST], binaries: [{ path: '/opt/*/bin/py*' }] } },
    })
    expect(ask(policy, { binary: '/bin/sh', ancestors: ['/opt/x/bin/python3'] }).verdict).toBe('allow')
    expect(ask(policy, { binary: '/opt/x/y/bin/python3' }).verdict).toBe('deny')
  })

  test('a malformed host or binary glob refuses, whatever else would allow', () => {
    const host = ask(policyWith(HOST, { host: '*[.example.com', port: 1 }), {})
    expect(host).toMatchObject({ verdict: 'deny', stage: 'l4' })
    expect(host.reason).toContain("unclosed '['")
    const policy = policyOf({
      version: 1,
      network_policies: { a: { endpoints: [HOST], binaries: [{ path: BINARY }, { path: '/x*{' }] } },
    })
    expect(ask(policy, {}).verdict).toBe('deny')
  })

  test('the first rule by name is the one that is told', () => {
    const policy = policyOf({
      version: 1,
      network_policies: {
        z: { endpoints: [HOST], binaries: [{ path: BINARY }] },
        m: { endpoints: [HOST], binaries: [{ path: BINARY }] },
      },
    })
    expect(ask(policy, {}).rule).toBe('m')
  })

  test('a random host passes an exact rule only when it is that host', () => {
    const hosts = fc.oneof(
      fc.domain(),
      fc.constantFrom('A.EXAMPLE.com', 'a.example.com.', 'xa.example.com', '', '*.example.com'),
    )
    fc.assert(
      fc.property(hosts, (host) => {
        const expected = host.toLowerCase() === 'a.example.com' ? 'allow' : 'deny'
        expect(ask(policyWith(HOST), { host }).verdict).toBe(expected)
      }),
    )
  })
})

describe('TLS', () => {
  test('skip passes bytes unseen: no request is judged', () => {
    const policy = policyWith({ ...HOST, port: 8443, protocol: 'rest', access: 'read-only', tls: 'skip' })
    expect(ask(policy, { port: 8443 })).toMatchObject({ verdict: 'allow', tls: 'skip', inspect: false })
    expect(ask(policy, { port: 8443, method: 'DELETE' })).toMatchObject({ verdict: 'allow', stage: 'l4' })
    expect(ask(policy, { port: 8443, method: 'DELETE', transport: 'plain-http' }).stage).toBe('l7')
  })

  test('without protocol every request is free, but must be readable', () => {
    expect(ask(policyWith(HOST), { method: 'DELETE', path: '/x' })).toMatchObject({
      verdict: 'allow',
      stage: 'l7',
    })
    expect(ask(policyWith(HOST), { method: 'GET', path: '/a%2Fb' })).toMatchObject({
      verdict: 'deny',
      stage: 'l7',
    })
  })
})

describe('destination addresses', () => {
  test.each([
    [HOST, { addresses: ['10.0.0.1'] }, undefined],
    [HOST, { addresses: [] }, 'resolves to no address'],
    [HOST, { addresses: ['10.0.0.1', '169.254.169.254'] }, 'loopback, link-local'],
    [HOST, { addresses: ['nonsense'] }, 'is no address'],
    [{ host: '*.example.com', port: 443 }, { addresses: ['fd00::1'] }, 'is not public'],
    [{ host: '*.example.com', port: 443 }, { addresses: ['2606:4700::1'] }, undefined],
    [{ host: '*.example.com', port: 443 }, {}, undefined],
    [{ host: '*.example.com', port: 6443 }, { port: 6443, addresses: ['1.1.1.1'] }, undefined],
    [{ ...HOST, port: 6443 }, { port: 6443 }, 'belongs to a control plane'],
    [{ host: '10.0.0.7', port: 443 }, { host: '10.0.0.7' }, undefined],
    [{ host: '[fd00::7]', port: 443 }, { host: '[fd00::7]' }, undefined],
    [{ host: '10.0.0.7', port: 443 }, { host: '10.0.0.7', addresses: ['10.0.0.8'] }, 'not in allowed_ips'],
    [{ host: '169.254.169.254', port: 80 }, { host: '169.254.169.254', port: 80 }, 'loopback, link-local'],
    [{ ...HOST, allowed_ips: ['10.0.0.0/16'] }, { addresses: ['::ffff:10.0.0.1'] }, 'not in allowed_ips'],
    [{ ...HOST, allowed_ips: ['x'] }, { addresses: ['10.0.0.1'] }, 'is no address'],
    [{ port: 443, allowed_ips: ['10.0.0.0/16'] }, { host: 'any.thing', addresses: ['10.0.9.9'] }, undefined],
    [
      { host: 'host.docker.internal', port: 80 },
      { host: 'host.docker.internal', port: 80, trustedGateway: '169.254.1.2', addresses: ['169.254.1.2'] },
      undefined,
    ],
    [
      { host: 'host.docker.internal', port: 80 },
      { host: 'host.docker.internal', port: 80, trustedGateway: '169.254.1.2', addresses: ['169.254.1.3'] },
      'not the trusted host gateway',
    ],
    [
      { host: 'host.docker.internal', port: 80 },
      {
        host: 'host.docker.internal',
        port: 80,
        trustedGateway: '169.254.169.254',
        addresses: ['169.254.169.254'],
      },
      'cloud metadata',
    ],
    [
      { host: 'host.docker.internal', port: 80 },
      { host: 'host.docker.internal', port: 80, trustedGateway: '10.0.0.1', addresses: ['10.0.0.1'] },
      'not link-local',
    ],
    [
      { host: 'host.docker.internal', port: 80 },
      { host: 'host.docker.internal', port: 80, addresses: ['169.254.1.2'] },
      'loopback, link-local',
    ],
  ])('%j asked %j: %s', (endpoint, request, reason) => {
    const decision = ask(policyWith(endpoint), request)
    if (reason === undefined) expect(decision.verdict, decision.reason).toBe('allow')
    else expect([decision.stage, decision.reason].join(' ')).toMatch(new RegExp(`^ssrf .*${reason}`))
  })
})

describe('inference.local', () => {
  test('is special on port 443 and by CONNECT only', () => {
    const policy = policyOf('version: 1')
    expect(ask(policy, { host: 'inference.local', port: 8443 })).toMatchObject({
      verdict: 'deny',
      stage: 'l4',
    })
    const plain = ask(policy, { host: 'inference.local', transport: 'plain-http', method: 'GET' })
    expect(plain).toMatchObject({ verdict: 'deny', stage: 'l4' })
  })

  test.each([
    [undefined, undefined, 'allow'],
    ['POST', '/v1/messages?beta=true', 'allow'],
    ['post', '/v1/chat/completions', 'allow'],
    ['POST', '/v1/embeddings', 'allow'],
    ['GET', '/v1/models/x/y', 'allow'],
    ['GET', '/v1/modelsx', 'deny'],
    ['POST', '/model/anthropic.claude/invoke', 'allow'],
    ['POST', '/model/a/b/invoke', 'deny'],
    ['POST', '/v1/messages/', 'deny'],
    ['HEAD', '/', 'deny'],
    ['POST', '/v1/messages%00', 'deny'],
  ])('%s %s: %s', (method, path, verdict) => {
    const decision = ask(policyOf('version: 1'), { host: 'INFERENCE.local', method, path })
    expect(decision).toMatchObject({ verdict, stage: 'inference' })
  })
})
