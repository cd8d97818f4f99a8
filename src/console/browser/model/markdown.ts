import type { Nodes, RootContent } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'

const OPTIONS = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }
/** Characters. A longer block is shown as it is, in pieces, since the parser may not keep a frame waiting. */
const BLOCK_CHARS_MAX = 20_000

export interface MarkdownPart {
  /** Where it begins in the text, in characters. */
  at: number
  blocks: readonly RootContent[]
  /** The addresses that its references stand for, by identifier. */
  urls: ReadonlyMap<string, string>
}

/**
 * Parses a growing text as Markdown. It parses what lies before the last blank line outside of code once, and only what
 * may still change again.
 */
export class GrowingMarkdown {
  #text = ''
  #done: MarkdownPart[] = []
  #doneTo = 0

  parts(text: string): readonly MarkdownPart[] {
    if (!text.startsWith(this.#text)) {
      this.#done = []
      this.#doneTo = 0
    }
    this.#text = text
    const settled = settledLength(text, this.#doneTo)
    if (settled > this.#doneTo) this.#settle(text, settled)
    while (text.length - this.#doneTo > BLOCK_CHARS_MAX && !FENCE.test(text.slice(this.#doneTo)))
      this.#settle(text, pieceEnd(text, this.#doneTo), asItIs)
    return [...this.#done, partOf(this.#doneTo, parse(text.slice(this.#doneTo)))]
  }

  /** Parses a whole text. It is read as one piece where its length allows, since lists go on over blank lines. */
  whole(text: string): readonly MarkdownPart[] {
    return text.length <= BLOCK_CHARS_MAX ? [partOf(0, parse(text))] : this.parts(text)
  }

  #settle(text: string, end: number, read = parse): void {
    this.#done.push(partOf(this.#doneTo, read(text.slice(this.#doneTo, end))))
    this.#doneTo = end
  }
}

function partOf(at: number, blocks: readonly RootContent[]): MarkdownPart {
  return { at, blocks, urls: new Map(blocks.flatMap(definitionsOf)) }
}

function definitionsOf(node: Nodes): [string, string][] {
  if (node.type === 'definition') return [[node.identifier, node.url]]
  return 'children' in node ? node.children.flatMap(definitionsOf) : []
}

function parse(text: string): readonly RootContent[] {
  if (text.length <= BLOCK_CHARS_MAX) return fromMarkdown(text, OPTIONS).children
  const [opening, ticks, lang] = FENCE.exec(text) ?? []
  if (opening === undefined) return asItIs(text)
  const code = text.slice(opening.length)
  const end = code.lastIndexOf(`\n${ticks}`)
  return [{ type: 'code', lang: lang ?? null, value: end < 0 ? code : code.slice(0, end) }]
}

function asItIs(text: string): readonly RootContent[] {
  return [{ type: 'paragraph', children: [{ type: 'text', value: text }] }]
}

const FENCE = /^ {0,3}(`{3,}|~{3,}) *(\S*)[^\n]*\n/

/** The end of the next piece: behind its last blank, or where it is full when it has none. */
function pieceEnd(text: string, from: number): number {
  const full = from + BLOCK_CHARS_MAX
  const blank = Math.max(text.lastIndexOf(' ', full - 1), text.lastIndexOf('\n', full - 1))
  return blank < from ? full : blank + 1
}

/** Where the last top-level block begins, which may still grow: behind the last blank line outside of fenced code. */
function settledLength(text: string, from: number): number {
  let settled = from
  let fence: string | undefined
  let at = from
  while (at < text.length) {
    const end = text.indexOf('\n', at)
    if (end < 0) break
    const line = text.slice(at, end)
    const [, ticks] = /^ {0,3}(`{3,}|~{3,})/.exec(line) ?? []
    if (fence === undefined && ticks !== undefined) fence = ticks
    else if (fence !== undefined && ticks?.startsWith(fence) === true) fence = undefined
    else if (fence === undefined && line.trim() === '' && startsBlock(text, end + 1)) settled = end + 1
    at = end + 1
  }
  return settled
}

/** Characters of a line that show whether it is an item of a list; nine digits, a mark and a blank are the longest. */
const MARK_CHARS_MAX = 11

/** Whether a new block begins there. An item or an indented line does not, since a list goes on over a blank line. */
function startsBlock(text: string, at: number): boolean {
  const rest = text.slice(at, at + MARK_CHARS_MAX)
  if (rest.length < MARK_CHARS_MAX && !rest.includes('\n')) return false
  return /^\S/.test(rest) && !/^(?:[-*+]|\d{1,9}[.)])(?:\s|$)/.test(rest)
}
