// What the YAML library looks up by reading a whole map or the whole document each time, looked up once.
import { type Alias, isAlias, isMap, isNode, isScalar, isSeq, type Node, type Pair, type YAMLMap } from 'yaml'
import { scalarText } from './scalar.ts'

export class YamlIndex {
  /** The offsets of keys that a map has for the second time. */
  readonly duplicates: readonly number[]
  readonly #targets = new Map<Alias, Node | undefined>()
  readonly #pairs = new Map<YAMLMap, ReadonlyMap<string, Pair>>()

  constructor(root: unknown) {
    const anchors = new Map<string, Node>()
    const duplicates: number[] = []
    const pending = [root]
    // No recursion: the nodes may be nested more deeply than the stack is.
    while (pending.length > 0) {
      const node = pending.pop()
      if (isAlias(node)) this.#targets.set(node, anchors.get(node.source))
      else if (isNode(node) && node.anchor !== undefined) anchors.set(node.anchor, node)
      if (isMap(node)) {
        duplicates.push(...secondKeys(node))
        for (const { key, value } of node.items.toReversed()) pending.push(value, key)
      } else if (isSeq(node)) for (const item of node.items.toReversed()) pending.push(item)
    }
    this.duplicates = duplicates
  }

  /** Returns what an alias stands for: the last node before it that has its anchor; undefined when there is none. */
  follow(node: unknown): unknown {
    return isAlias(node) ? this.#targets.get(node) : node
  }

  /** Returns the pair with this key. */
  pairOf(map: YAMLMap, key: string): Pair | undefined {
    const pairs = this.#pairs.get(map) ?? pairsOf(map)
    this.#pairs.set(map, pairs)
    return pairs.get(key)
  }
}

function pairsOf({ items }: YAMLMap): ReadonlyMap<string, Pair> {
  const pairs = new Map<string, Pair>()
  for (const pair of items) {
    const key = textOfKey(pair)
    if (key !== undefined && !pairs.has(key)) pairs.set(key, pair)
  }
  return pairs
}

/** Returns the offsets of the keys whose value an earlier key of the map has. */
function secondKeys({ items }: YAMLMap): number[] {
  const seen = new Set<unknown>()
  return items.flatMap(({ key }) => {
    if (!isScalar(key)) return []
    if (seen.has(key.value)) return [offsetOf(key)]
    seen.add(key.value)
    return []
  })
}

export function offsetOf(node: unknown): number {
  return (isNode(node) ? node.range?.[0] : undefined) ?? 0
}

export function textOfKey(pair: Pair): string | undefined {
  return isScalar(pair.key) ? scalarText(pair.key) : undefined
}
