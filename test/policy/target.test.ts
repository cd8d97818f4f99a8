import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { canonicalTarget, TargetError } from '../../src/policy/request/target.ts'

const canonical = (target: string, allowEncodedSlash = false): string =>
  canonicalTarget(target, { allowEncodedSlash }).path

test.each([
  ['', '/'],
  ['/', '/'],
  ['/a/./b', '/a/b'],
  ['/a/b/.', '/a/b/'],
  ['/a/../b', '/b'],
  ['/a/b/..', '/a/'],
  ['/a/%2e%2E/b', '/b'],
  ['//a///b', '/a/b'],
  ['/a//', '/a/'],
  ['/a;v=1/b;x', '/a/b'],
  ['/a/..;x/b', '/b'],
  ['/a%3Bx/b', '/a/b'],
  ['/%61%2D', '/a-'],
  ['/a%20b', '/a%20b'],
  ['/%c3%a9', '/%C3%A9'],
  ['/a%252Fb', '/a%252Fb'],
  ['/a|b"<>', '/a%7Cb%22%3C%3E'],
  ["/:@!$&'()*+,=~", "/:@!$&'()*+,=~"],
  ['/a://b', '/a:/b'],
  ['http://example.com/a?b', '/a'],
  ['http://example.com', '/'],
  ['HTTPS://example.com:1/x/../y', '/y'],
])('%s becomes %s', (target, expected) => {
  expect(canonical(target)).toBe(expected)
})

test.each([
  ['/..', 'above the root'],
  ['/a/../../b', 'above the root'],
  ['/%2e%2e/a', 'above the root'],
  ['/..;x', 'above the root'],
  ['/a%2Fb', '%2F'],
  ['/a%2fb', '%2F'],
  ['/a#b', 'fragment'],
  ['/a\tb', 'control byte'],
  ['/a%00', 'encoded control byte'],
  ['/a%0d%0a', 'encoded control byte'],
  ['/a%7f', 'encoded control byte'],
  ['/a%09', 'encoded control byte'],
  ['/é', 'non-ASCII'],
  ['/a%', 'percent-encoding'],
  ['/a%4', 'percent-encoding'],
  ['/a%zz', 'percent-encoding'],
  ['/a%%41', 'percent-encoding'],
  ['a/b', 'absolute path'],
  ['*', 'absolute path'],
  ['http:///a', 'absolute path'],
  [`/${'a'.repeat(4096)}`, 'longer than 4096'],
  ['/a?x=%zz', 'percent-encoding'],
  ['/a?x=%ff', 'percent-encoding'],
])('%s is refused: %s', (target, reason) => {
  expect(() => canonical(target)).toThrow(TargetError)
  expect(() => canonical(target)).toThrow(reason)
})

test('with allow_encoded_slash a %2F stays inside its segment and hides no dots', () => {
  expect(canonical('/group%2fproject/x', true)).toBe('/group%2Fproject/x')
  expect(canonical('/group%2Fproject/../x', true)).toBe('/x')
  expect(() => canonical('/a%2F..%2Fb', true)).toThrow('dot segment')
  expect(() => canonical('/a%2F%2e', true)).toThrow('dot segment')
})

test('a query keeps every value, decoded', () => {
  const { query } = canonicalTarget('/x?a=1&a=%32&b&&c=x=y&d+e=f+g%2B&=h', { allowEncodedSlash: false })
  expect([...query]).toEqual([
    ['a', ['1', '2']],
    ['b', ['']],
    ['c', ['x=y']],
    ['d e', ['f g+']],
    ['', ['h']],
  ])
})

/** Byte by byte, written from RFC 3986 instead of from the code. */
function oracle(raw: string): string | undefined {
  const bytes: number[] = []
  for (let at = 0; at < raw.length; at += 1) {
    if (raw[at] !== '%') bytes.push(raw.charCodeAt(at))
    else {
      const value =
        '0123456789abcdef'.indexOf(raw[at + 1]?.toLowerCase() ?? 'x') * 16 +
        '0123456789abcdef'.indexOf(raw[at + 2]?.toLowerCase() ?? 'x')
      const digits = raw.slice(at + 1, at + 3)
      if (digits.length < 2 || [...digits].some((digit) => !'0123456789abcdefABCDEF'.includes(digit)))
        return undefined
      if (value === 0x2f || value < 0x20 || value === 0x7f) return undefined
      bytes.push(value)
      at += 2
    }
  }
  const parts: number[][] = [[]]
  for (const byte of bytes.slice(1)) byte === 0x2f ? parts.push([]) : parts.at(-1)?.push(byte)
  const out: string[] = []
  let isDirectory = false
  for (const part of parts) {
    const cut = part.includes(0x3b) ? part.slice(0, part.indexOf(0x3b)) : part
    const text = String.fromCharCode(...cut)
    isDirectory = text === '' || text === '.' || text === '..'
    if (text === '..') {
      if (out.length === 0) return undefined
      out.pop()
    } else if (!isDirectory) out.push(text)
  }
  const encode = (text: string): string =>
    [...text]
      .map((char) =>
        /[A-Za-z0-9\-._~!$&'()*+,;=:@]/.test(char)
          ? char
          : `%${char.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
      )
      .join('')
  return `/${out.map(encode).join('/')}${isDirectory && out.length > 0 ? '/' : ''}`
}

describe('against an oracle', () => {
  const piece = fc.oneof(
    fc.constantFrom(
      '/',
      '/',
      '..',
      '.',
      'a',
      'b',
      ';',
      ';x',
      '%2e',
      '%2E',
      '%2F',
      '%3b',
      '%61',
      '%25',
      '%',
      '%0',
      '%0a',
      '%ff',
      '+',
      '|',
    ),
    fc.string({
      unit: fc.integer({ min: 0x21, max: 0x7e }).map((code) => String.fromCharCode(code)),
      maxLength: 2,
    }),
  )
  const targets = fc
    .array(piece, { maxLength: 12 })
    .map((pieces) => `/${pieces.join('')}`.replace(/[#?]/g, ''))

  test('every path is refused or canonicalised as RFC 3986 says', () => {
    fc.assert(
      fc.property(targets, (target) => {
        const expected = oracle(target)
        if (expected === undefined) expect(() => canonical(target)).toThrow(TargetError)
        else expect(canonical(target)).toBe(expected)
      }),
      { numRuns: 5000 },
    )
  })

  test('a canonical path is its own canonical form, without dots, doubled slashes or parameters', () => {
    fc.assert(
      fc.property(targets, fc.boolean(), (target, allowEncodedSlash) => {
        let first: string
        try {
          first = canonical(target, allowEncodedSlash)
        } catch {
          return
        }
        expect(canonical(first, allowEncodedSlash)).toBe(first)
        expect(first).toMatch(/^\/[\x21-\x7e]*$/)
        expect(first).not.toMatch(/\/\/|;|\/\.{1,2}(\/|$)/)
      }),
      { numRuns: 5000 },
    )
  })
})
