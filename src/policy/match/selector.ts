// The globs of OpenShell's Rust code (the `glob` crate), for the paths of endpoints and the hosts of middlewares.
// They differ from the Rego globs in glob.ts: here `*` crosses every separator.
import { ANY, ANYTHING, Automaton, byteSet, EMPTY, literal, type Node } from './automaton.ts'
import { type Glob, GlobError } from './glob.ts'

/** `**` as a component: any number of leading components, each with its slash. */
const COMPONENTS: Node = { any: [EMPTY, { all: [ANYTHING, literal('/')] }] }

/** One element of a parsed selector; `ranges` holds inclusive pairs. */
export type SelectorToken =
  | { kind: 'char'; char: string }
  | { kind: 'any-char' | 'star' | 'components' }
  | { kind: 'class'; negated: boolean; ranges: readonly (readonly [string, string])[] }

/**
 * Parses a pattern. Braces are literal and there is no escape. Throws GlobError where the crate refuses the pattern:
 * three stars, `**` beside anything but a slash, an unclosed or empty class.
 */
export function parseSelector(pattern: string): SelectorToken[] {
  const chars = [...pattern]
  const tokens: SelectorToken[] = []
  for (let at = 0; at < chars.length; ) {
    const char = chars[at] ?? ''
    if (char === '*') at = pushStars(tokens, chars, at)
    else if (char === '[') at = pushClass(tokens, chars, at)
    else {
      tokens.push(char === '?' ? { kind: 'any-char' } : { kind: 'char', char })
      at += 1
    }
  }
  return tokens
}

export function compileSelector(pattern: string): Glob {
  const tokens = parseSelector(pattern)
  const automaton = new Automaton({
    all: tokens.map((token, index) => toNode(token, index === tokens.length - 1)),
  })
  return { matches: (text) => automaton.matches(text) }
}

/** Whether an endpoint's `path` covers a canonical request path. `/a/**` covers `/a`; a bad glob only itself. */
export function endpointPathMatches(pattern: string, path: string): boolean {
  if (pattern === '' || pattern === '**' || pattern === '/**' || pattern === path) return true
  if (pattern.endsWith('/**')) {
    const prefix = pattern.slice(0, -3)
    return path === prefix || path.startsWith(`${prefix}/`)
  }
  try {
    return compileSelector(pattern).matches(path)
  } catch (error) {
    if (error instanceof GlobError) return false
    throw error
  }
}

/** Returns the rank among endpoints that match the same path: the number of characters other than `*`. */
export function pathSpecificity(pattern: string): number {
  return [...pattern].filter((char) => char !== '*').length
}

function pushStars(tokens: SelectorToken[], chars: readonly string[], start: number): number {
  let end = start
  while (chars[end] === '*') end += 1
  if (end - start === 1) {
    tokens.push({ kind: 'star' })
    return end
  }
  const isComponent = start === 0 || chars[start - 1] === '/'
  if (end - start > 2 || !isComponent || (end < chars.length && chars[end] !== '/')) {
    throw new GlobError("'**' must be a whole path component")
  }
  tokens.push({ kind: 'components' })
  return chars[end] === '/' ? end + 1 : end
}

function pushClass(tokens: SelectorToken[], chars: readonly string[], start: number): number {
  const negated = chars[start + 1] === '!'
  const first = start + (negated ? 2 : 1)
  const close = chars.indexOf(']', first + 1)
  if (close < 0) throw new GlobError("unclosed '['")
  const ranges: [string, string][] = []
  for (let at = first; at < close; ) {
    const isRange = at + 2 < close && chars[at + 1] === '-'
    ranges.push([chars[at] ?? '', chars[isRange ? at + 2 : at] ?? ''])
    at += isRange ? 3 : 1
  }
  tokens.push({ kind: 'class', negated, ranges })
  return close + 1
}

function toNode(token: SelectorToken, isLast: boolean): Node {
  switch (token.kind) {
    case 'char':
      return literal(token.char)
    case 'any-char':
      return ANY
    case 'star':
      return ANYTHING
    case 'components':
      return isLast ? ANYTHING : COMPONENTS
    case 'class': {
      const isMember = (byte: number): boolean =>
        token.ranges.some(([low, high]) => byte >= low.charCodeAt(0) && byte <= high.charCodeAt(0))
      return { bytes: byteSet((byte) => isMember(byte) !== token.negated) }
    }
  }
}
