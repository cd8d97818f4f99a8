// What the pages point to is there: files, their sections, and the tables that they are written as.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import type { Nodes, Root } from 'mdast'
import { fromMarkdown } from 'mdast-util-from-markdown'
import { gfmFromMarkdown } from 'mdast-util-gfm'
import { gfm } from 'micromark-extension-gfm'
import { expect, test } from 'vitest'

const ROOT = new URL('..', import.meta.url).pathname
const FOLDERS = ['action', 'bench', 'docs', 'examples', 'findings', 'packages', 'src', 'test', 'wrappers']
const NOT_OURS = new Set(['node_modules', 'dist'])

function filesBelow(folder: string): string[] {
  return readdirSync(join(ROOT, folder), { withFileTypes: true }).flatMap((entry) => {
    if (NOT_OURS.has(entry.name)) return []
    const path = join(folder, entry.name)
    return entry.isDirectory() ? [path, ...filesBelow(path)] : [path]
  })
}

const FILES = ['README.md', 'CHANGELOG.md', 'LICENSE', ...FOLDERS, ...FOLDERS.flatMap(filesBelow)]
const PAGES = new Map(
  FILES.filter((path) => path.endsWith('.md')).map((path) => {
    const text = readFileSync(join(ROOT, path), 'utf8')
    return [path, fromMarkdown(text, { extensions: [gfm()], mdastExtensions: [gfmFromMarkdown()] })]
  }),
)

function* nodesOf(node: Nodes): Generator<Nodes> {
  yield node
  if ('children' in node) for (const child of node.children) yield* nodesOf(child)
}

function wordsOf(node: Nodes): string {
  if ('children' in node) return node.children.map(wordsOf).join('')
  return 'value' in node ? node.value : ''
}

/** As GitHub makes them. */
function anchorsOf(page: Root): string[] {
  return [...nodesOf(page)]
    .filter((node) => node.type === 'heading')
    .map((heading) =>
      wordsOf(heading)
        .toLowerCase()
        .replace(/[^\p{L}\p{N} _-]/gu, '')
        .replaceAll(' ', '-'),
    )
}

/** Says what is wrong with a link's address. */
function deadLink(from: string, url: string): string[] {
  if (/^[a-z]+:/.test(url)) return []
  const [path = '', anchor] = url.split('#')
  const target = path === '' ? from : relative(ROOT, join(ROOT, from, '..', path)).replace(/\/$/, '')
  if (!FILES.includes(target)) return [`${url}: no such file`]
  const page = PAGES.get(target)
  return anchor === undefined || (page && anchorsOf(page).includes(anchor)) ? [] : [`${url}: no such heading`]
}

/** A file of this repository may be named by the end of its path. */
function deadName(words: string): string[] {
  if (!/^[\w.-]+(?:\/[\w.-]+)*\.tsx?$|^(?:findings|wrappers|examples)\/[\w./-]+$/.test(words)) return []
  return FILES.some((path) => `/${path}`.endsWith(`/${words}`)) ? [] : [`\`${words}\`: no such file`]
}

/** A row that is no table's is a paragraph, and of a row that is too long a reader sees only a part. */
function brokenTable(node: Nodes): string[] {
  if (node.type === 'paragraph') {
    const words = wordsOf(node)
    return words.startsWith('| ') ? [`not a table: ${words.slice(0, 60)}`] : []
  }
  if (node.type !== 'table') return []
  const width = node.children[0]?.children.length
  return node.children
    .filter(({ children }) => children.length !== width)
    .map((row) => `not ${width} cells: ${wordsOf(row).slice(0, 60)}`)
}

test.each([...PAGES])('%s points to what is there', (path, page) => {
  const wrong = [...nodesOf(page)].flatMap((node) => {
    if (node.type === 'link' || node.type === 'image' || node.type === 'definition')
      return deadLink(path, node.url)
    return node.type === 'inlineCode' ? deadName(node.value) : brokenTable(node)
  })
  expect(wrong).toEqual([])
})
