import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedactor } from '../../src/redaction/redactor.ts'
import { FAKE_JWT, FAKE_PEM, FAKE_TOKENS, FAKE_VALUES, fake } from './fake-secrets.ts'

const redactor = createRedactor({ values: Object.values(FAKE_VALUES) })
const { redactText } = redactor

describe('a well-known form is redacted', () => {
  test.each(FAKE_TOKENS)('$name: alone, in prose, quoted, after an escape', ({ text, secret }) => {
    const expected = text.replace(secret, '[redacted]')
    expect(redactText(text)).toBe(expected)
    expect(redactText(`It is ${text} .`)).toBe(`It is ${expected} .`)
    for (const [before, after] of [
      ['export X="', '"\n'],
      ['(', ')'],
      ['\u001b[01;31m', '\u001b[0m'],
      ['line\n', '\nline'],
    ]) {
      expect(redactText(`${before}${text}${after}`)).not.toContain(secret)
    }
    const json = JSON.stringify({ content: `a\n${text}\n"b"` })
    expect(redactText(json)).not.toContain(JSON.stringify(secret).slice(1, -1))
    expect(JSON.parse(redactText(json)).content).not.toContain(secret)
  })
})

describe('a known value is redacted', () => {
  const byte = (text: string): Buffer => Buffer.from(text)
  const forms: [string, (value: string) => string][] = [
    ['as it is', (value) => value],
    ['in JSON', (value) => JSON.stringify(value).slice(1, -1)],
    ['in JSON in JSON', (value) => JSON.stringify(JSON.stringify(value)).slice(3, -3)],
    ['URL-encoded', encodeURIComponent],
    [
      'URL-encoded with small digits',
      (value) => encodeURIComponent(value).replace(/%../g, (code) => code.toLowerCase()),
    ],
    ['in a form', (value) => new URLSearchParams({ x: value }).toString().slice(2)],
    ['in base64', (value) => byte(value).toString('base64').replaceAll('=', '')],
    ['in base64url', (value) => byte(value).toString('base64url')],
  ]
  describe.each(Object.entries(FAKE_VALUES))('%s', (_what, value) => {
    test.each(forms)('%s', (_form, encode) => {
      expect(redactText(`before ${encode(value)} after`)).toBe('before [redacted] after')
    })

    test('inside longer base64, wherever it stands', () => {
      for (const encoding of ['base64', 'base64url'] as const) {
        for (let offset = 0; offset < 6; offset++) {
          const text = byte(`${'#'.repeat(offset)}${value}<tail>`).toString(encoding)
          const left = redactText(text)
          expect(left).toContain('[redacted]')
          // At most the characters that the secret shares with its neighbours stay.
          expect(left.replace('[redacted]', '').length).toBeLessThan(((offset + 6) * 4) / 3 + 4)
        }
      }
    })
  })

  test('a value shorter than 8 characters is not looked for', () => {
    expect(createRedactor({ values: ['secret7'] }).redactText('secret7')).toBe('secret7')
  })

  test('a private key of several lines, also line by line and numbered', () => {
    const { redactText: redact } = createRedactor({ values: [FAKE_PEM], patterns: [] })
    const numbered = FAKE_PEM.split('\n').map((line, index) => `${index + 1}\t${line}`)
    for (const line of FAKE_PEM.split('\n').slice(1, -1)) {
      expect(redact(FAKE_PEM)).not.toContain(line)
      expect(redact(numbered.join('\n'))).not.toContain(line)
    }
    expect(redact(Buffer.from(`x${FAKE_PEM}`).toString('base64'))).toMatch(/^.{0,3}\[redacted\].{0,2}$/)
  })

  test('one that the end of the text cuts, when more than half of it is there', () => {
    const value = fake(40)
    const { redactText: redact } = createRedactor({ values: [value] })
    expect(redact(`tail ${value.slice(0, 30)}`)).toBe('tail [redacted]')
    expect(redact(`tail ${value.slice(0, 10)}`)).toBe(`tail ${value.slice(0, 10)}`)
  })

  test('values that overlap leave one marker', () => {
    const { redactText: redact } = createRedactor({ values: ['abcdefgh1', 'gh1234567', '345678900'] })
    expect(redact('<abcdefgh12345678900>')).toBe('<[redacted]>')
  })
})

const HARMLESS = [
  'com.example.application.SomeVeryLongClassName and org.springframework.boot.autoconfigure',
  'process.env.SOMETHING foo.barbarbar.bazbazbaz.quxquxqux window.document.querySelector',
  '@anthropic-ai/claude-agent-sdk@0.3.332 typescript-5.8.2-beta.20250303 node_modules/.bin/vitest',
  'https://example.com:8443/path/to?query=a:b@c#frag and http://localhost:8080/foo@bar',
  'git@github.com:owner/repository.git ssh://git@github.com:22/owner/repository.git',
  '{"url":"https://example.com","mail":"someone@example.com","list":["a://b","c@d"]}',
  '3f2504e0-4f89-11d3-9a0c-0305e82c3301 d41d8cd98f00b204e9800998ecf8427e',
  'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855',
  'sha512-z4PhNX7vuL3xVChQ1m2AB9Yg5AULVxXcg/SpIdNs6c5H0NE8XYXysP+DGNKHfuwvY7kxvUdBeoGlODJ6+SfaPg==',
  'sk-loading-indicator-spinner-for-large-screens task-management-and-planning-for-everyone-now',
  'disk-0123456789012345678901234567890123456789 npm_config_registry npm_lifecycle_event npm_package_name',
  'github_pat_ ghp_ sk-ant- AKIA eyJ are prefixes; glpat-short xoxb-no eyJhbGciOiJIUzI1NiJ9 is a header',
  'Bearer authentication, Bearer AuthenticationProviderFactory, Bearer \u0024{process.env.TOKEN}, Bearer <token>',
  'Authorization: Basic auth is old; Authorization: Bearer YOUR_ACCESS_TOKEN_GOES_HERE',
  '-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----',
  'The line -----BEGIN PRIVATE KEY----- begins a private key that follows in PEM form.',
  'const aws_secret_access_key = config.get("aws")\nsecretAccessKey: process.env.AWS_SECRET_ACCESS_KEY',
  'postgres://\u0024{USER}:\u0024{PASSWORD}@host/db redis://localhost:6379 amqp://<user>:<password>@host',
  'hf_transfer hf_hub_download ya29 AIza AIzaTooShort whsec_ hvs.short SG.short.short dop_v1_',
  'C:\\Users\\nobody\\Documents\\file.txt /usr/lib/node_modules/npm/bin/npm-cli.js ../../etc/passwd',
  'function x(a,b){return a://b?c:d@e} // eyJzb21l.text.here',
  'AKIALOWERcaseIsNone0 XAKIA0123456789ABCDEF AKIA0123456789ABCDEFGHIJ',
  'pk_live_0123456789abcdefghijklmn is public; data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB',
  'ünïcödé \u{1f600} \u{1f511} 漢字 \u0000 \u2028 \\u0041 \\n \\\\',
]

describe('nothing else is', () => {
  test.each(HARMLESS)('%s', (text) => {
    expect(redactText(text)).toBe(text)
    expect(redactText(JSON.stringify(text))).toBe(JSON.stringify(text))
  })

  test('a hash, an id or a base64 picture of any kind', () => {
    fc.assert(
      fc.property(fc.uuid(), fc.uint8Array({ maxLength: 2000 }), (uuid, bytes) => {
        const buffer = Buffer.from(bytes)
        for (const text of [uuid, buffer.toString('hex'), buffer.toString('base64')]) {
          expect(redactText(text)).toBe(text)
        }
      }),
      { numRuns: 300 },
    )
  })
})

describe('JSON stays JSON', () => {
  const piece = fc.constantFrom(
    ...Object.values(FAKE_VALUES),
    ...FAKE_TOKENS.map(({ text }) => text),
    FAKE_PEM.slice(0, 150),
    '\n',
    '"',
    '\\',
    '\u0001',
    ' and ',
    '\u{1f600}',
  )

  test('whatever stands in its strings, also as JSON in JSON', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 8 }), (pieces) => {
        const text = pieces.join('')
        for (const json of [JSON.stringify({ text }), JSON.stringify({ text: JSON.stringify({ text }) })]) {
          expect(() => JSON.parse(redactText(json))).not.toThrow()
        }
        const once = redactText(pieces.join(' '))
        expect(redactText(once)).toBe(once)
      }),
      { numRuns: 1000 },
    )
  })

  test('a value that begins as the rest of an escape does', () => {
    for (const value of ['n1234567', 'u0041bcdefgh', '0041bcdefgh', '41bcdefgh']) {
      const { redactText: redact } = createRedactor({ values: [value], patterns: [] })
      for (const json of [`"\\${value}"`, `"\\u${value}"`, `"\\u00${value}"`, `"\\\\${value}"`]) {
        if (!isJson(json)) continue
        expect(isJson(redact(json)), `${json} became ${redact(json)}`).toBe(true)
      }
    }
  })
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

describe('a value of any shape', () => {
  test('is redacted in every string, keys included; encryptedValue stays as it is', () => {
    const value = { a: [{ b: `x ${FAKE_JWT}` }, 1, null, true], [FAKE_JWT]: 2, encryptedValue: FAKE_JWT }
    expect(redactor.redactValue(value)).toEqual({
      a: [{ b: 'x [redacted]' }, 1, null, true],
      '[redacted]': 2,
      encryptedValue: FAKE_JWT,
    })
  })

  test('comes back itself when nothing was in it', () => {
    const value = { a: [{ b: 'plain' }], c: { d: 1 } }
    expect(redactor.redactValue(value)).toBe(value)
  })

  test('that is too deep is cut instead of overflowing the stack', () => {
    let deep: unknown = FAKE_JWT
    for (let depth = 0; depth < 100_000; depth++) deep = [deep]
    expect(JSON.stringify(redactor.redactValue(deep))).not.toContain(FAKE_JWT)
  })
})

// A pattern that goes back over its text would need hours for this much of it. How long it takes: `npm run bench redaction`.
test.each(['eyJ-', '://a:', 'sk-', '-----BEGIN PRIVATE KEY-----', 'abcabc', 'Bearer ', 'AKIA ', '\\'])(
  'text made to be slow comes through: %j',
  (bait) => {
    const input = bait.repeat(1_600_000 / bait.length)
    expect(redactText(input) === input).toBe(true)
  },
)
