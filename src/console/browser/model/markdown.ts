import type { RootContent } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'

const OPTIONS = { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] }
/** Characters: a block that is longer is shown as it is, for a parser must not keep a frame waiting. */
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
    if (settled > this.#doneTo) {
      this.#done.push({ at: this.#doneTo, blocks: parse(text.slice(this.#doneTo, settled)) })
      this.#doneTo = settled
    }
    return [...this.#done, { at: this.#doneTo, blocks: parse(text.slice(this.#doneTo)) }]
  }
}

/** A text that is whole. Lists go on over blank lines, so that it is parsed as one where its length allows. */
export function wholeMarkdown(text: string): readonly MarkdownPart[] {
  if (text.length <= BLOCK_CHARS_MAX) return [{ at: 0, blocks: parse(text) }]
  return new GrowingMarkdown().parts(text)
}

function parse(text: string): readonly RootContent[] {
  if (text.length <= BLOCK_CHARS_MAX) return fromMarkdown(text, OPTIONS).children
  return [{ type: 'paragraph', children: [{ type: 'text', value: text }] }]
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
