// The globs of OpenShell's Rego rules: regorus `glob.match` over globset with a literal separator. Patterns and texts
// are UTF-8 bytes, as there: `?` is one byte. OpenShell's other glob dialect is in selector.ts.
import { ANYTHING, Automaton, type ByteSet, byteSet, EMPTY, literal, type Node } from './automaton.ts'

/** The error for a pattern that OpenShell cannot evaluate. A request that needs it is refused (openshell.md 1.6). */
export class GlobError extends Error {
  override readonly name = 'GlobError'
}

export interface Glob {
  matches(text: string): boolean
}

/** The depth of nested braces at which the regex engine behind globset stops. */
const NEST_MAX = 250

const SLASH: Node = literal('/')
const NOT_SLASH: Node = { bytes: byteSet((byte) => byte !== 0x2f) }
const SEGMENT: Node = { star: NOT_SLASH }

/** Upper bound of the kept globs, of a few kilobytes each. Beyond it each request would compile all globs anew. */
const KEPT_MAX = 8192
/** Compiled globs. Each request is judged by all globs of its policy, and to compile one takes longer than to match it. */
const kept = new Map<string, Glob>()

/**
 * Compiles a glob. `*` and `?` stop at `delimiter`; `**` as a whole component crosses it; `{a,b}`, `[a-c]`, `[!a]` and
 * `\x` work. With '.', `a.**` needs at least one label (openshell.md 1.5, 1.6).
 * Throws GlobError for a malformed pattern; so does `matches` for a text holding NUL.
 */
export function compileGlob(pattern: string, delimiter: '.' | '/'): Glob {
  const key = `${delimiter}${pattern}`
  const known = kept.get(key)
  if (known !== undefined) return known
  const automaton = new Automaton(new GlobsetParser(toSlashes(pattern, delimiter)).parse())
  const glob: Glob = { matches: (text) => automaton.matches(toSlashes(text, delimiter)) }
  if (kept.size >= KEPT_MAX) kept.clear()
  kept.set(key, glob)
  return glob
}

// As in regorus, a delimiter other than '/' gets slashes on both sides, and a real slash becomes NUL.
function toSlashes(text: string, delimiter: '.' | '/'): string {
  if (text.includes('\0')) throw new GlobError('a NUL byte cannot be matched')
  return delimiter === '/' ? text : text.replaceAll('/', '\0').replaceAll('.', '/./')
}

function rangesSet(ranges: readonly (readonly [string, string])[], negated: boolean): ByteSet {
  const members = new Set<number>()
  for (const [from, to] of ranges) {
    const low = Buffer.from(from, 'utf8')
    const high = Buffer.from(to, 'utf8')
    for (const byte of [...low.subarray(0, -1), ...high.subarray(1)]) members.add(byte)
    for (let byte = low.at(-1) ?? 0; byte <= (high[0] ?? 0); byte += 1) members.add(byte)
  }
  return byteSet((byte) => members.has(byte) !== negated)
}

type Token = { kind: 'recursive-prefix' | 'recursive-suffix' | 'other'; node: Node }

class GlobsetParser {
  readonly #chars: readonly string[]
  #at = 0
  /** Open branches; [0] is the top level, the rest belong to the groups in `#groups`. */
  readonly #branches: Token[][] = [[]]
  /** For every open `{`, the index of its first branch. */
  readonly #groups: number[] = []

  constructor(pattern: string) {
    this.#chars = [...pattern]
  }

  parse(): Node {
    while (this.#at < this.#chars.length) this.#step()
    if (this.#groups.length > 0) throw new GlobError("unclosed '{'")
    const tokens = this.#branches[0] ?? []
    // `**` alone matches everything, not only text that ends in a separator.
    return tokens.length === 1 && tokens[0]?.kind === 'recursive-prefix' ? ANYTHING : sequence(tokens)
  }

  #step(): void {
    const previous = this.#chars[this.#at - 1]
    const char = this.#chars[this.#at++] ?? ''
    if (char === '*') this.#star(previous)
    else if (char === '?') this.#push(NOT_SLASH)
    else if (char === '[') this.#class()
    else if (char === '{') this.#open()
    else if (char === '}') this.#close()
    else if (char === ',' && this.#groups.length > 0) this.#branches.push([])
    else if (char === '\\') this.#push(literal(this.#next('dangling backslash')))
    else this.#push(literal(char))
  }

  #next(missing: string): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw new GlobError(missing)
    return char
  }

  #push(node: Node, kind: Token['kind'] = 'other'): void {
    this.#branches.at(-1)?.push({ kind, node })
  }

  #open(): void {
    this.#groups.push(this.#branches.length)
    if (this.#groups.length > NEST_MAX) throw new GlobError('braces nested too deeply')
    this.#branches.push([])
  }

  #close(): void {
    const start = this.#groups.pop()
    if (start === undefined) throw new GlobError("unmatched '}'")
    // An empty alternative is dropped and does not match the empty text (globset, empty_alternates off).
    const choices = this.#branches.splice(start).filter((branch) => branch.length > 0)
    this.#push(choices.length === 0 ? EMPTY : { any: choices.map(sequence) })
  }

  // `**` is recursive only as a whole component; anywhere else it is two plain stars.
  #star(previous: string | undefined): void {
    const isDouble = this.#chars[this.#at] === '*'
    if (isDouble) this.#at += 1
    const next = this.#chars[this.#at]
    const isFirst = this.#branches.at(-1)?.length === 0
    const endsBranch = !isFirst && this.#groups.length > 0 && (next === ',' || next === '}')
    const startsComponent = isFirst || previous === '/'
    const endsComponent = next === undefined || next === '/' || endsBranch
    if (!isDouble || !startsComponent || !endsComponent) {
      this.#push(SEGMENT)
      return
    }
    // `**` includes the slash after it and the slash before it, which was pushed already.
    if (next === '/') this.#at += 1
    if (isFirst) this.#push(PREFIX, 'recursive-prefix')
    else this.#pushRecursive(next === '/' ? MIDDLE : SUFFIX)
  }

  #pushRecursive(node: Node): void {
    const before = this.#branches.at(-1)?.pop()
    if (before !== undefined && before.kind !== 'other') this.#push(before.node, before.kind)
    else this.#push(node, node === SUFFIX ? 'recursive-suffix' : 'other')
  }

  #class(): void {
    const negated = this.#chars[this.#at] === '!' || this.#chars[this.#at] === '^'
    if (negated) this.#at += 1
    const ranges: [string, string][] = []
    let inRange = false
    for (let char = this.#next(UNCLOSED); ; char = this.#next(UNCLOSED)) {
      const last = ranges.at(-1)
      if (last === undefined) ranges.push([char, char])
      else if (char === ']') break
      else if (inRange) {
        if (char < last[0]) throw new GlobError(`invalid range '${last[0]}-${char}'`)
        last[1] = char
        inRange = false
      } else if (char === '-') inRange = true
      else ranges.push([char, char])
    }
    if (inRange) ranges.push(['-', '-'])
    this.#push({ bytes: rangesSet(ranges, negated) })
  }
}

const UNCLOSED = "unclosed '['"
const PREFIX: Node = { any: [EMPTY, SLASH, { all: [ANYTHING, SLASH] }] }
const SUFFIX: Node = { all: [SLASH, ANYTHING] }
const MIDDLE: Node = { any: [SLASH, { all: [SLASH, ANYTHING, SLASH] }] }

function sequence(tokens: readonly Token[]): Node {
  return { all: tokens.map((token) => token.node) }
}
