// YAML text with positions. The schema sees a tree of plain objects, arrays and scalars. Every message finds its line
// and column through the path of keys that leads to its place.
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument, Scalar } from 'yaml'
import { scalarText } from './scalar.ts'
import { offsetOf, textOfKey, YamlIndex } from './yaml-index.ts'

export type Severity = 'error' | 'warning'
export type Path = readonly (string | number)[]

/** A check's message about one place. `at: 'key'` points at the key instead of its value. */
export interface Finding {
  severity: Severity
  path: Path
  at?: 'key' | 'value'
  message: string
}

/** A finding with its place in the file; lines and columns count from 1. */
export interface Problem {
  file: string
  line: number
  column: number
  severity: Severity
  message: string
}

/** Upper bounds of nested levels, as in OpenShell's own YAML reader, and of values in one document. */
const DEPTH_MAX = 128
const NODES_MAX = 200_000

/**
 * Characters that a policy may not have. OpenShell's YAML reader refuses all but the last three, even in a comment.
 * Those end a line for it: a comment to us would be a rule to it.
 */
const NO_TEXT =
  /[^\t\n\r\x20-\x7e\u{85}\u{a0}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]|[\u{85}\u2028\u2029]/u

export type YamlTree = Scalar | YamlTree[] | { [key: string]: YamlTree }

export class PolicyDocument {
  readonly #file: string
  readonly #lines = new LineCounter()
  readonly #document: Document
  readonly #index: YamlIndex
  readonly #problems: Problem[] = []

  constructor(text: string, file: string) {
    this.#file = file
    const odd = NO_TEXT.exec(text)
    // The parser reports a stack exhausted by nesting as one of its errors.
    // It would compare each key with all others of its map, so the index looks for keys that occur twice.
    const options = { lineCounter: this.#lines, prettyErrors: false, uniqueKeys: false }
    this.#document = parseDocument(text, options)
    this.#index = new YamlIndex(this.#document.contents)
    const errors = this.#document.errors.map(({ message, pos: [offset] }) => ({ offset, message }))
    for (const offset of this.#index.duplicates) errors.push({ offset, message: 'Map keys must be unique' })
    for (const { offset, message } of errors.sort((one, other) => one.offset - other.offset))
      this.#problems.push(this.#problemAt(offset, 'error', message))
    if (odd === null) return
    const code = odd[0].codePointAt(0)?.toString(16).toUpperCase().padStart(4, '0')
    this.#problems.unshift(
      this.#problemAt(odd.index, 'error', `the character U+${code} cannot be in a policy`),
    )
  }

  /** The problems of the YAML itself. */
  get problems(): readonly Problem[] {
    return this.#problems
  }

  /** Returns the whole document with its aliases followed; undefined when it is no readable YAML. */
  toTree(): YamlTree | undefined {
    if (this.#problems.length > 0) return undefined
    const tree = new TreeBuilder(this.#index)
    try {
      return tree.build(this.#document.contents)
    } catch (error) {
      if (!(error instanceof TreeError)) throw error
      this.#problems.push(this.#problemAt(error.offset, 'error', error.message))
      return undefined
    }
  }

  /** Whether anything is written at this path. */
  has(path: Path): boolean {
    return this.#find(path).depth === path.length
  }

  locate(finding: Finding): Problem {
    const { depth, offset, keyOffset } = this.#find(finding.path)
    // A missing key is reported where it would have to be: at its parent.
    const isExact = depth === finding.path.length
    return this.#problemAt(
      isExact && finding.at === 'key' ? keyOffset : offset,
      finding.severity,
      finding.message,
    )
  }

  #find(path: Path): { depth: number; offset: number; keyOffset: number } {
    let node: unknown = this.#document.contents
    let offset = offsetOf(node)
    let keyOffset = offset
    for (const [depth, step] of path.entries()) {
      const container = this.#index.follow(node)
      const pair = isMap(container) ? this.#index.pairOf(container, String(step)) : undefined
      const next = isSeq(container) ? container.items[Number(step)] : pair?.value
      if (pair === undefined && next === undefined) return { depth, offset, keyOffset }
      keyOffset = pair === undefined ? offsetOf(next) : offsetOf(pair.key)
      offset = isEmptyNode(next) ? keyOffset : offsetOf(next)
      node = next
    }
    return { depth: path.length, offset, keyOffset }
  }

  #problemAt(offset: number, severity: Severity, message: string): Problem {
    const { line, col } = this.#lines.linePos(offset)
    return { file: this.#file, line: Math.max(line, 1), column: Math.max(col, 1), severity, message }
  }
}

class TreeError extends Error {
  readonly offset: number

  constructor(message: string, offset: number) {
    super(message)
    this.offset = offset
  }
}

class TreeBuilder {
  readonly #index: YamlIndex
  #nodes = 0

  constructor(index: YamlIndex) {
    this.#index = index
  }

  build(raw: unknown, depth = 0): YamlTree {
    this.#nodes += 1
    if (depth > DEPTH_MAX) throw new TreeError('nested too deeply', offsetOf(raw))
    if (this.#nodes > NODES_MAX) throw new TreeError('too many values (aliases repeated?)', offsetOf(raw))
    const node = this.#index.follow(raw)
    if (isAlias(raw) && node === undefined) throw new TreeError('the alias has no anchor', offsetOf(raw))
    if (isScalar(node)) return node
    if (isSeq(node)) return node.items.map((item) => this.build(item, depth + 1))
    if (!isMap(node)) return new Scalar(null)
    const entries = node.items.map((pair): [string, YamlTree] => {
      const key = textOfKey(pair)
      // An object key `__proto__` would be lost on the way.
      if (key === undefined || key === '__proto__') {
        throw new TreeError(`${key ?? 'this'} cannot be a key`, offsetOf(pair.key))
      }
      return [key, this.build(pair.value, depth + 1)]
    })
    return Object.fromEntries(entries)
  }
}

function isEmptyNode(node: unknown): boolean {
  return node === null || node === undefined || (isScalar(node) && isEmptyPlain(node))
}

/** Whether the scalar is `key:` with nothing after it. */
export function isEmptyPlain(scalar: Scalar): boolean {
  return scalar.value === null && scalarText(scalar) === ''
}
