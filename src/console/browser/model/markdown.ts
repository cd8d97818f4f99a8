import type { RootContent } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'

const OPTIONS = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }
/** Characters: what is longer without a blank line is shown in pieces as it is, for no parser may keep a frame waiting. */
const BLOCK_CHARS_MAX = 20_000

export interface MarkdownPart {
  /** Its beginning in the text. */
  at: number
  blocks: readonly RootContent[]
}

/**
 * A text that grows, as Markdown. What lies before its last blank line outside of code is parsed once; only what may
 * still change is parsed again.
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
    return [...this.#done, { at: this.#doneTo, blocks: parse(text.slice(this.#doneTo)) }]
  }

  /** A text that is whole. Lists go on over blank lines, so that it is read as one where its length allows. */
  whole(text: string): readonly MarkdownPart[] {
    return text.length <= BLOCK_CHARS_MAX ? [{ at: 0, blocks: parse(text) }] : this.parts(text)
  }

  #settle(text: string, end: number, read = parse): void {
    this.#done.push({ at: this.#doneTo, blocks: read(text.slice(this.#doneTo, end)) })
    this.#doneTo = end
  }
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

/** Behind the last blank of the piece; a piece without one is cut where it is full. */
function pieceEnd(text: string, from: number): number {
  const full = from + BLOCK_CHARS_MAX
  const blank = Math.max(text.lastIndexOf(' ', full - 1), text.lastIndexOf('\n', full - 1))
  return blank < from ? full : blank + 1
}

/** Where the last top-level block begins that may still grow: behind the last blank line outside of fenced code. */
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

/** Characters of a line that tell whether it is an item of a list: nine digits, a mark and a blank are the longest. */
const MARK_CHARS_MAX = 11

/** A list goes on over a blank line: an item, and what is indented, does not begin anything. */
function startsBlock(text: string, at: number): boolean {
  const rest = text.slice(at, at + MARK_CHARS_MAX)
  if (rest.length < MARK_CHARS_MAX && !rest.includes('\n')) return false
  return /^\S/.test(rest) && !/^(?:[-*+]|\d{1,9}[.)])(?:\s|$)/.test(rest)
}
