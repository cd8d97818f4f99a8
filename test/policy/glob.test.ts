import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlob, GlobError } from '../../src/policy/match/glob.ts'
import { compileSelector, endpointPathMatches, pathSpecificity } from '../../src/policy/match/selector.ts'

const path = (pattern: string, text: string): boolean => compileGlob(pattern, '/').matches(text)
const dotted = (pattern: string, text: string): boolean => compileGlob(pattern, '.').matches(text)

describe('path globs', () => {
  test.each([
    ['/a/*', '/a/b', true],
    ['/a/*', '/a/', true],
    ['/a/*', '/a/b/c', false],
    ['/a/**', '/a', false],
    ['/a/**', '/a/', true],
    ['/a/**', '/a/b/c', true],
    ['/**/x*', '/x1', true],
    ['/**/x*', '/a/b/x', true],
    ['/**/x*', '/a/xb/c', false],
    ['**', 'anything/at/all', true],
    ['**/', 'anything', true],
    ['/a**b', '/aXb', true],
    ['/a**b', '/a/b', false],
    ['/{a,b}/c', '/b/c', true],
    ['/{a,b}/c', '/d/c', false],
    ['/{a,{b,c}d}', '/cd', true],
    ['/x{,}y', '/xy', true],
    ['/x{a,}y', '/xay', true],
    ['/x{a,}y', '/xy', false],
    ['/a,b', '/a,b', true],
    ['/[a-c]', '/b', true],
    ['/[!a-c]', '/b', false],
    ['/[^a-c]', '/d', true],
    ['/[]a]', '/]', true],
    ['/[a-]', '/-', true],
    ['/[-a]', '/-', true],
    ['/[!a]', '//', true],
    ['/?', '//', false],
    ['/?', '/é', false],
    ['/??', '/é', true],
    ['/\\*', '/*', true],
    ['/\\*', '/x', false],
    ['/A', '/a', false],
    ['', '', true],
    ['', '/', false],
    ['{**/a,b}', 'x/y/a', true],
    ['a/{**,b}', 'a/x', true],
    ['a/{**,b}', 'a/x/y', false],
    ['a{/**,b}', 'a/x/y', true],
    ['a/**/b', 'a/b', true],
    ['a/**/**/b', 'a/x/b', true],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(path(pattern, text)).toBe(expected)
  })

  test.each(['/a[', '/[z-a]', '/{a', '/a}', '/a\\', '{'.repeat(300)])('%s is malformed', (pattern) => {
    expect(() => path(pattern, '/a')).toThrow(GlobError)
  })
})

describe('dotted globs', () => {
  test.each([
    ['*.example.com', 'api.example.com', true],
    ['*.example.com', 'example.com', false],
    ['*.example.com', 'deep.api.example.com', false],
    ['*-api.example.com', 'tenant-api.example.com', true],
    ['*-api.example.com', 'api.example.com', false],
    ['*.a?i.example.com', 'x.abi.example.com', true],
    ['**.example.com', 'example.com', false],
    ['**.example.com', 'api.example.com', true],
    ['**.example.com', 'deep.api.example.com', true],
    ['api.**.com', 'api.com', false],
    ['api.**.com', 'api.x.y.com', true],
    ['api.**', 'api', false],
    ['api.**', 'api.com', true],
    ['*', 'com', true],
    ['*', 'example.com', false],
    ['**', 'deep.api.example.com', true],
    ['foo-*', 'foo-a', true],
    ['foo-*', 'foo-1.2', false],
    ['a/*', 'a/b/c', true],
    ['*', '', true],
    ['*', 'a/b', true],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(dotted(pattern, text)).toBe(expected)
  })

  test('a text with a NUL byte is an error, not a mismatch', () => {
    expect(() => dotted('*', 'a\0b')).toThrow(GlobError)
  })
})

describe('endpoint path selectors', () => {
  test.each([
    ['', '/v1', true],
    ['/**', '/v1', true],
    ['**', '/v1', true],
    ['/v1/**', '/v1', true],
    ['/v1/**', '/v1/x/y', true],
    ['/v1/**', '/v10', false],
    ['/v*/messages', '/v1/a/messages', true],
    ['/v1/*', '/v1/a/b', true],
    ['/**/x', '/x', true],
    ['/a/**/x', '/a/b/c/x', true],
    ['/[ab]/x', '/b/x', true],
    ['/[!ab]/x', '/b/x', false],
    ['/{a,b}', '/a', false],
    ['/{a,b}', '/{a,b}', true],
    ['/a**', '/ab', false],
    ['/a**', '/a**', true],
    ['/a[', '/a', false],
    ['/***', '/a', false],
    ['/[]', '/]', false],
  ])('%s on %s: %s', (pattern, text, expected) => {
    expect(endpointPathMatches(pattern, text)).toBe(expected)
  })

  test('stars do not count towards specificity', () => {
    expect(['', '**', '/v1/**', '/v1/x'].map(pathSpecificity)).toEqual([0, 0, 4, 5])
  })
})

// The oracles work on whole segments by plain recursion; the code under test on bytes by automaton.
const character = fc.constantFrom('a', 'b', '.', '-')
const atom = fc.oneof(
  { weight: 3, arbitrary: character.map((char) => ({ glob: char, regex: char.replace('.', '\\.') })) },
  fc.constant({ glob: '*', regex: 'STAR' }),
  fc.constant({ glob: '?', regex: 'ONE' }),
  fc.constant({ glob: '[a-b]', regex: '[ab]' }),
  fc.constant({ glob: '[!a]', regex: '[^a]' }),
  fc.constant({ glob: '{a,bb}', regex: '(?:a|bb)' }),
)
const segment = fc
  .array(atom, { maxLength: 4 })
  .map((atoms) => ({ glob: atoms.map((a) => a.glob).join(''), regex: atoms.map((a) => a.regex).join('') }))
  // Two stars in a row would be a different pattern; [!a] may take a separator, which segments cannot say.
  .filter(({ glob }) => !glob.includes('**') && !glob.includes('[!a]'))
type Segment = { glob: string; regex: string } | '**'
const component: fc.Arbitrary<Segment> = fc.oneof(
  { weight: 4, arbitrary: segment },
  fc.constant('**' as const),
)
const globOf = (parts: readonly Segment[], separator: string): string =>
  parts.map((part) => (part === '**' ? part : part.glob)).join(separator)
const textArbitrary = (separator: string): fc.Arbitrary<string> =>
  fc
    .array(fc.array(fc.constantFrom('a', 'b', '-'), { maxLength: 4 }), { maxLength: 5 })
    .map((parts) => parts.map((chars) => chars.join('')).join(separator))

const segmentMatches = (part: { regex: string }, text: string): boolean =>
  new RegExp(`^${part.regex.replaceAll('STAR', '.*').replaceAll('ONE', '.')}$`).test(text)

/** `**` takes any number of whole segments; `lastMin` of them at least where it stands last. */
function segmentsMatch(parts: readonly Segment[], texts: readonly string[], lastMin: number): boolean {
  const [part, ...rest] = parts
  if (part === undefined) return texts.length === 0
  if (part !== '**')
    return (
      texts[0] !== undefined && segmentMatches(part, texts[0]) && segmentsMatch(rest, texts.slice(1), lastMin)
    )
  const min = rest.length === 0 ? lastMin : 0
  return (
    texts.some((_, taken) => taken >= min && segmentsMatch(rest, texts.slice(taken), lastMin)) ||
    (texts.length >= min && segmentsMatch(rest, [], lastMin))
  )
}

describe('against an oracle', () => {
  test('path globs agree with matching segment by segment', () => {
    fc.assert(
      fc.property(fc.array(component, { minLength: 1, maxLength: 4 }), textArbitrary('/'), (parts, text) => {
        // A leading `**/` with nothing after it is `**`.
        const everything = /^(\*\*\/?)+$/.test(globOf(parts, '/'))
        const expected = everything || segmentsMatch(parts, text.split('/'), 1)
        expect(path(globOf(parts, '/'), text)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  test('host globs agree with matching label by label', () => {
    const label = segment.filter(({ glob }) => glob !== '' && !glob.includes('.') && !glob.includes('{'))
    const hostPattern = fc.tuple(fc.boolean(), fc.array(label, { minLength: 1, maxLength: 3 }))
    fc.assert(
      fc.property(hostPattern, textArbitrary('.'), ([isDeep, labels], host) => {
        const pattern = [...(isDeep ? ['**'] : []), ...labels.map(({ glob }) => glob)].join('.')
        const texts = host.split('.')
        const tail = texts.slice(texts.length - labels.length)
        const lengthFits = isDeep ? texts.length > labels.length : texts.length === labels.length
        const expected = lengthFits && labels.every((part, index) => segmentMatches(part, tail[index] ?? ''))
        expect(dotted(pattern, host)).toBe(expected)
      }),
      { numRuns: 3000 },
    )
  })

  test('selectors agree with the regular expression they stand for', () => {
    const plain = segment.filter(({ glob }) => !glob.includes('{'))
    const parts = fc.array(fc.oneof({ weight: 4, arbitrary: plain }, fc.constant('**' as const)), {
      minLength: 1,
      maxLength: 4,
    })
    fc.assert(
      fc.property(parts, textArbitrary('/'), (written, text) => {
        // `**` takes its slash with it: `a/**/` is `a/**`.
        const components =
          written.at(-2) === '**' && written.at(-1) !== '**' && globOf(written, '/').endsWith('/')
            ? written.slice(0, -1)
            : written
        const regex = components
          .map((part, index) => {
            const isLast = index === components.length - 1
            if (part === '**') return isLast ? '.*' : '(?:.*/)?'
            const body = part.regex.replaceAll('STAR', '.*').replaceAll('ONE', '.')
            return isLast ? body : `${body}/`
          })
          .join('')
        expect(compileSelector(globOf(written, '/')).matches(text)).toBe(new RegExp(`^${regex}$`).test(text))
      }),
      { numRuns: 3000 },
    )
  })

  test('any text is a pattern or a GlobError, and a pattern without special characters matches only itself', () => {
    const messy = fc.string({
      unit: fc.constantFrom('a', '/', '.', '*', '?', '[', ']', '{', '}', ',', '!', '-', '\\'),
      maxLength: 20,
    })
    fc.assert(
      fc.property(messy, messy, (pattern, text) => {
        for (const compile of [
          (p: string) => compileGlob(p, '/'),
          (p: string) => compileGlob(p, '.'),
          compileSelector,
        ]) {
          try {
            const isMatch = compile(pattern).matches(text)
            if (!/[*?[\]{}\\]/.test(pattern)) expect(isMatch).toBe(pattern === text)
          } catch (error) {
            expect(error).toBeInstanceOf(GlobError)
          }
        }
      }),
      { numRuns: 5000 },
    )
  })
})

test.each([
  ['stars', `${'a*'.repeat(100)}b`, 'a'.repeat(4000)],
  ['deep stars', `${'**/'.repeat(100)}x`, 'a/'.repeat(2000)],
  ['deep stars between segments', `${'a/**/'.repeat(100)}x`, 'a/'.repeat(2000)],
  ['nested alternatives', `${'{a,'.repeat(200)}b${'}'.repeat(200)}c`, 'a'.repeat(4000)],
  ['repeated alternatives', `${'{a,aa,*}'.repeat(100)}b`, 'a'.repeat(4000)],
])('%s take time in proportion, where backtracking would not end', (_name, pattern, text) => {
  // A backtracking matcher needs longer than the age of the universe for these.
  const start = performance.now()
  expect(path(pattern, `${text}!`)).toBe(false)
  expect(compileSelector(pattern).matches(`${text}!`)).toBe(false)
  expect(performance.now() - start).toBeLessThan(10_000)
})
