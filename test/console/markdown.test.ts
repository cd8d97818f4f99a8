import type { Nodes } from 'mdast'
import { expect, test } from 'vitest'
import { GrowingMarkdown } from '../../src/console/browser/model/markdown.ts'

const wholeMarkdown = (text: string) => new GrowingMarkdown().whole(text)

const TEXTS = {
  prose: 'one **two**\nthree\n\nfour',
  code: 'see\n\n```ts\na\n\nb\n```\n\nafter\n\n~~~\n```\n\nx\n~~~\n\nend',
  lists: '- a\n\n- b\n\n  more of b\n\n1. one\n\n2. two\n\nafter',
  table: '| a | b |\n|---|--:|\n| 1 | 2 |\n\nafter',
  html: '<details>\n\n<b>x</b>\n\n</details>\n\nplain',
}

/** The kinds and the words of a tree, without where they stand. */
function bare(nodes: readonly Nodes[]): unknown[] {
  return nodes.map((node) => [
    node.type,
    'value' in node ? node.value : '',
    'children' in node ? bare(node.children) : [],
  ])
}

const blocks = (parts: readonly { blocks: readonly Nodes[] }[]): unknown[] =>
  parts.flatMap((part) => bare(part.blocks))

test.each(Object.entries(TEXTS))('%s that came in pieces reads as if it had come whole', (_name, text) => {
  const growing = new GrowingMarkdown()
  for (let length = 1; length <= text.length; length += 1) growing.parts(text.slice(0, length))
  expect(blocks(growing.parts(text))).toEqual(blocks(wholeMarkdown(text)))
})

test('what lies behind a blank line is not parsed again', () => {
  const growing = new GrowingMarkdown()
  const [first] = growing.parts('one\n\ntwo and more')
  const again = growing.parts('one\n\ntwo and more\n\nthree and more')
  expect(again[0]?.blocks).toBe(first?.blocks)
  expect(again.map(({ at }) => at)).toEqual([0, 5, 19])
})

test('a text that was put in the place of another is read anew', () => {
  const growing = new GrowingMarkdown()
  growing.parts('one\n\ntwo and more')
  expect(blocks(growing.parts('other'))).toEqual(blocks(wholeMarkdown('other')))
})

test('a paragraph without end comes in pieces, and nothing of it is lost', () => {
  const text = 'word '.repeat(10_000)
  const pieces = wholeMarkdown(text).flatMap(({ blocks: [block] }) =>
    block?.type === 'paragraph' && block.children[0]?.type === 'text' ? [block.children[0].value] : [],
  )
  expect(pieces.length).toBeGreaterThan(2)
  expect(pieces.map((piece) => piece.trim()).join(' ')).toBe(text.trim())
})

test('code without end is one block of code, also when it is closed', () => {
  const code = 'const a = 1\n\n'.repeat(3000)
  for (const end of ['', '```\n']) {
    const text = `\`\`\`ts\n${code}${end}`
    expect(bare(wholeMarkdown(text)[0]?.blocks ?? [])).toEqual([
      ['code', end === '' ? code : code.slice(0, -1), []],
    ])
  }
})

test('a reference finds its address, wherever that stands', () => {
  const [part] = wholeMarkdown(
    'See [one][A] and ![two].\n\n> [a]: https://a.example\n\n- [two]: https://b.example',
  )
  expect([...(part?.urls ?? [])]).toEqual([
    ['a', 'https://a.example'],
    ['two', 'https://b.example'],
  ])
})
