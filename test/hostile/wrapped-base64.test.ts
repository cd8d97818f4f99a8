// A known secret in base64 that is broken into lines: `base64 FILE` does so, and whoever reads it can decode it.
import { execFileSync } from 'node:child_process'
import { EventType } from '@ag-ui/core'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { createRedactor } from '../../src/redaction/redactor.ts'

const SECRET = 'zq8Kx!2vWn4Lr7Tb0Yc5Hd9Jf3Mg6Ps1Ua?8Ee>4'
const SHORT = 'pa55~w0rd'
const redactor = createRedactor({ values: [SECRET, SHORT] })

const encode = (text: string): string => Buffer.from(text).toString('base64')
const wrap = (text: string, width: number, by: string): string =>
  text.replace(new RegExp(`.{${width}}(?=.)`, 'g'), (line) => line + by)

/** What of the secret can still be read, whatever stands between: no six bytes of it in a row. */
function leak(shown: string, secret: string): string | undefined {
  const bare = shown
    .replaceAll(/\\u00[0-9a-f]{2}|\\+[nrt]|\s|\x85/gi, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/')
  for (const part of bare.split(/[^A-Za-z0-9+/]+/)) {
    for (const offset of [0, 1, 2, 3]) {
      const decoded = Buffer.from(part.slice(offset), 'base64').toString('latin1')
      for (let at = 0; at + 6 <= secret.length; at += 1) {
        if (decoded.includes(secret.slice(at, at + 6))) return secret.slice(at, at + 6)
      }
    }
  }
  return undefined
}

test('the judge itself sees what leaks', () => {
  expect(leak(wrap(encode(`abc${SECRET}`), 10, '\n'), SECRET)).toBeDefined()
  expect(leak('nothing at all', SECRET)).toBeUndefined()
})

describe.each([1, 2, 3, 4, 5, 7, 19, 64, 76])('lines of %i characters', (width) => {
  test.each([
    ['\n'],
    ['\r\n'],
    [' '],
    ['\t'],
    ['\n    '],
    ['\\n'],
    ['\\r\\n'],
    ['\\\\n'],
    ['\\u000a'],
    ['\\u000D\\u000A'],
    [' \\n\n\t'],
    ['\x85'],
    ['\n\n\n'],
    [`\n${' '.repeat(60)}`],
  ])('parted by %j, wherever the secret begins in one', (by) => {
    for (let before = 0; before < 90; before += 1) {
      const text = `${'x'.repeat(before)}${SECRET} behind it`
      for (const encoded of [encode(text), Buffer.from(text).toString('base64url')]) {
        const shown = redactor.redactText(`it is ${wrap(encoded, width, by)} so`)
        expect([leak(shown, SECRET), before]).toEqual([undefined, before])
        expect(shown).toMatch(/^it is /)
        expect(shown).toMatch(/ so$/)
      }
    }
  })
})

test.each([
  ["Claude Code's Read", (line: string, index: number) => `${String(index + 1).padStart(6)}→${line}`],
  ['cat -n', (line: string, index: number) => `${String(index + 1).padStart(6)}\t${line}`],
  ['grep -n', (line: string, index: number) => `${index + 1}:${line}`],
])('lines that %s has numbered', (_name, number) => {
  for (let before = 0; before < 60; before += 1) {
    const lines = wrap(encode(`${'x'.repeat(before)}${SECRET}`), 20, '\n').split('\n')
    const text = lines.map((line, index) => number(line, index + before)).join('\n')
    for (const given of [text, JSON.stringify(text)]) {
      const bare = redactor.redactText(given).replaceAll(/(?:^|\n|\\n) *\d+(?:→|\t|\\t|:)/g, '')
      expect(leak(bare, SECRET)).toBeUndefined()
    }
  }
})

test('digits at the start of a line may belong to the secret', () => {
  const digits = 'M<4\x11\x11\x11'.repeat(6)
  const own = createRedactor({ values: [digits] })
  for (let width = 1; width < 20; width += 1) {
    expect(leak(own.redactText(wrap(encode(digits), width, '\n')), digits)).toBeUndefined()
  }
})

test('what the real base64 says of a file', () => {
  for (const width of ['76', '64', '10']) {
    const input = `token=${SECRET}\nand more of it, much more, to have a second line\n`
    const said = execFileSync('base64', ['-w', width], { input, encoding: 'utf8' })
    for (const text of [said, JSON.stringify({ stdout: said }), JSON.stringify(JSON.stringify(said))]) {
      expect(leak(redactor.redactText(text), SECRET)).toBeUndefined()
    }
  }
})

test('JSON stays JSON, also with escaped slashes', () => {
  const slashes = '???>>>???>>>??~~?'
  const own = createRedactor({ values: [slashes] })
  const json = JSON.stringify({ a: `x\n${wrap(encode(slashes), 5, '\n')}\ny` })
  for (const text of [json, json.replaceAll('/', '\\/')]) {
    expect(JSON.parse(own.redactText(text))).toEqual({ a: expect.stringMatching(/^x\n\[redacted\]=*\n?y$/) })
  }
})

test('a short secret too, and one that the end of the text cuts', () => {
  expect(leak(redactor.redactText(wrap(encode(SHORT), 4, '\n')), SHORT)).toBeUndefined()
  const cut = wrap(encode(SECRET).slice(0, 40), 8, '\n')
  expect(leak(redactor.redactText(cut), SECRET)).toBeUndefined()
})

test('over deltas, however it is cut: the same as in one piece', () => {
  const spaces = fc.constantFrom('\n', '\r\n', '\\n', '\\\\n', ' ', '\n   12→', '\\u000a', '\n  ')
  const given = fc.tuple(
    fc.integer({ min: 0, max: 8 }),
    fc.integer({ min: 1, max: 20 }),
    spaces,
    fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 30 }),
  )
  fc.assert(
    fc.property(given, ([before, width, by, sizes]) => {
      const text = `A word\n${wrap(encode(`${'x'.repeat(before)}${SECRET}`), width, by)} behind`
      const stream = redactor.createStream()
      const out: string[] = []
      const tell = (delta: string): void => {
        const event = { type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta } as const
        for (const told of stream.redact(event)) out.push('delta' in told ? String(told.delta) : '')
        expect(stream.heldChars).toBeLessThanOrEqual(redactor.heldCharsMax)
      }
      for (let at = 0, index = 0; at < text.length; index += 1) {
        const size = sizes[index % sizes.length] ?? 1
        tell(text.slice(at, at + size))
        at += size
      }
      for (const told of stream.flush()) out.push('delta' in told ? String(told.delta) : '')
      expect(out.join('')).toBe(redactor.redactText(text))
      expect(leak(out.join('').replaceAll(/\n +12→/g, ''), SECRET)).toBeUndefined()
    }),
    { numRuns: 300 },
  )
})

test('a beginning is not held for ever: neither white space nor numbered lines fill the memory', () => {
  const begun = encode(SECRET).slice(0, 12)
  for (const filler of [' ', '\n', '\\n', '\n1:', '\n 1→\n', '\\u0020']) {
    const stream = redactor.createStream()
    stream.redact({ type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: begun })
    for (let count = 0; count < 200; count += 1) {
      stream.redact({ type: EventType.TEXT_MESSAGE_CONTENT, messageId: 'm', delta: filler })
    }
    expect(stream.heldChars).toBeLessThan(100)
  }
})

test('ordinary text is left alone', () => {
  const texts = [
    'a b c d e f g h i j k l m n o p q r s t u v w x y z 0 1 2 3 4 5 6 7 8 9',
    `${encode('nothing to see here, really nothing at all')}\n${encode('and here')}`,
    'C:\\new\\temp\\users 1: one\n2: two\n3\tthree',
  ]
  for (const text of texts) expect(redactor.redactText(text)).toBe(text)
})
