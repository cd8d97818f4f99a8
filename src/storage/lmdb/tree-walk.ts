import type { ValuePlace } from './seal.ts'

/** A flaw of a data file. `message` goes behind "The store in FOLDER cannot be used: ". */
export class Damage extends Error {
  override readonly name = 'Damage'
}

export interface PageTree {
  flags: number
  depth: number
  branches: number
  leaves: number
  overflow: number
  entries: number
  /** Page number of the root; undefined for an empty tree. */
  root: number | undefined
}

export interface TreeWalkOptions {
  read(offset: number, bytes: number): Buffer
  pageBytes: number
  lastPage: number
  isChecked(table: string): boolean
  /** Returns what a value should be and is not; undefined when it is intact. Called for tables of `isChecked`. */
  flawOf(value: Buffer, place: ValuePlace): string | undefined
}

const HEADER_BYTES = 24
const NODE_BYTES = 8
const TREE_BYTES = 48
const FIRST_PAGE = 2
/** Page flags. */
const BRANCH = 1
const LEAF = 2
const OVERFLOW = 4
/** Node flags. */
const BIG = 1
const TREE = 2
const PAGE_NUMBER_BYTES = 8
const NO_ROOT = (1n << 64n) - 1n

interface Node {
  page: Buffer
  flags: number
  key: Buffer
  /** Offset in the page of the value, or of the reference to its overflow pages. */
  at: number
  bytes: number
}

interface Walked {
  name: string
  branches: number
  leaves: number
  overflow: number
  entries: number
  /** The previous key. The next key is above it, or equal to it if the previous key is a branch's separator. */
  before: Buffer | undefined
  isBeforeExact: boolean
  compare(a: Buffer, b: Buffer): number
  take(node: Node): void
}

/** Checks every page of the trees of one snapshot: each must be what its parent says. Throws `Damage` if not. */
export class TreeWalk {
  readonly #options: TreeWalkOptions
  readonly #seen: Uint8Array

  constructor(options: TreeWalkOptions) {
    this.#options = options
    this.#seen = new Uint8Array(options.lastPage + 1)
  }

  /** Checks the list of free pages: LMDB overwrites the pages that it names. */
  freePages(tree: PageTree): void {
    this.#tree('free pages', tree, compareIntegers, (node) => {
      const list = this.#value(node, 'free pages')
      for (let at = 0; at + PAGE_NUMBER_BYTES <= list.length; at += PAGE_NUMBER_BYTES) {
        const entry = list.readBigInt64LE(at)
        if (entry > this.#options.lastPage || -entry > this.#options.lastPage)
          throw new Damage('its list of free pages names some that it does not have')
      }
    })
  }

  databases(main: PageTree): void {
    this.#tree('databases', main, Buffer.compare, (node) => {
      if ((node.flags & TREE) === 0 || node.bytes !== TREE_BYTES)
        throw new Damage('its list of databases is overwritten')
      const name = node.key.toString('latin1').replace(/\0$/, '')
      const isChecked = this.#options.isChecked(name)
      this.#tree(name, pageTreeOf(node.page, node.at), Buffer.compare, (entry) => {
        const isBig = (entry.flags & BIG) !== 0
        const value = isChecked || isBig ? this.#value(entry, name, isChecked) : undefined
        const place = { table: name, key: entry.key }
        const flaw = isChecked && value !== undefined ? this.#options.flawOf(value, place) : undefined
        if (flaw !== undefined) throw new Damage(`an entry of its table "${name}" is not ${flaw}`)
      })
    })
  }

  #tree(name: string, tree: PageTree, compare: Walked['compare'], take: (node: Node) => void): void {
    const walked: Walked = {
      name,
      branches: 0,
      leaves: 0,
      overflow: 0,
      entries: 0,
      before: undefined,
      isBeforeExact: false,
      compare,
      take: (node) => {
        if ((node.flags & BIG) !== 0) walked.overflow += pagesOf(node)
        take(node)
      },
    }
    if (tree.root !== undefined) this.#page(tree.root, tree.depth, walked)
    const isSame =
      walked.branches === tree.branches &&
      walked.leaves === tree.leaves &&
      walked.overflow === tree.overflow &&
      walked.entries === tree.entries
    if (!isSame) throw new Damage(`its table "${name}" has lost pages or gained some`)
  }

  #page(number: number, depth: number, walked: Walked): void {
    const page = this.#read(number, 1, walked.name)
    const flags = page.readUInt16LE(18)
    const isLeaf = depth <= 1
    if (flags !== (isLeaf ? LEAF : BRANCH)) throw overwritten(number, walked.name)
    if (isLeaf) walked.leaves += 1
    else walked.branches += 1
    for (const [index, node] of this.#nodes(page, number, walked.name, isLeaf).entries()) {
      if (isLeaf) {
        order(node.key, true, walked)
        walked.entries += 1
        walked.take(node)
      } else {
        // The first key of a branch stands for everything below the second and may be left out.
        if (index > 0) order(node.key, false, walked)
        this.#page(childOf(node), depth - 1, walked)
      }
    }
  }

  #nodes(page: Buffer, number: number, name: string, isLeaf: boolean): Node[] {
    const { pageBytes } = this.#options
    const lower = page.readUInt16LE(20)
    const upper = page.readUInt16LE(22) + HEADER_BYTES
    const count = lower >> 1
    if (lower % 2 !== 0 || lower + HEADER_BYTES > upper || upper > pageBytes || count === 0)
      throw overwritten(number, name)
    return Array.from({ length: count }, (_, index) => {
      const start = page.readUInt16LE(HEADER_BYTES + 2 * index) + HEADER_BYTES
      if (start < upper || start + NODE_BYTES > pageBytes) throw overwritten(number, name)
      const size = page.readUInt16LE(start) + page.readUInt16LE(start + 2) * 0x10000
      const flags = page.readUInt16LE(start + 4)
      const at = start + NODE_BYTES + page.readUInt16LE(start + 6)
      const isBig = isLeaf && (flags & BIG) !== 0
      const inPage = isBig ? 3 * PAGE_NUMBER_BYTES : isLeaf ? size : 0
      if (at + inPage > pageBytes || (isLeaf && (flags & ~(BIG | TREE)) !== 0))
        throw overwritten(number, name)
      return { page, flags, key: page.subarray(start + NODE_BYTES, at), at, bytes: size }
    })
  }

  /** Returns the value of a leaf's node. Without `isWanted`, only the head of a large value's pages is read. */
  #value(node: Node, name: string, isWanted = true): Buffer {
    if ((node.flags & BIG) === 0) return node.page.subarray(node.at, node.at + node.bytes)
    const number = Number(node.page.readBigUInt64LE(node.at))
    const pages = pagesOf(node)
    if (pages !== Math.ceil((HEADER_BYTES + node.bytes) / this.#options.pageBytes))
      throw overwritten(number, name)
    const head = this.#read(number, pages, name, HEADER_BYTES + (isWanted ? node.bytes : 0))
    if (head.readUInt16LE(18) !== OVERFLOW || head.readUInt32LE(20) !== pages) throw overwritten(number, name)
    return head.subarray(HEADER_BYTES)
  }

  #read(number: number, pages: number, name: string, bytes = this.#options.pageBytes): Buffer {
    const { lastPage, pageBytes } = this.#options
    if (number < FIRST_PAGE || number + pages - 1 > lastPage) throw overwritten(number, name)
    for (let used = number; used < number + pages; used++) {
      if (this.#seen[used] === 1) throw overwritten(number, name)
      this.#seen[used] = 1
    }
    const buffer = this.#options.read(number * pageBytes, bytes)
    if (buffer.readBigUInt64LE(0) !== BigInt(number)) throw overwritten(number, name)
    return buffer
  }
}

/** Decodes LMDB's record of a tree. */
export function pageTreeOf(page: Buffer, at: number): PageTree {
  const root = page.readBigUInt64LE(at + 40)
  return {
    flags: page.readUInt16LE(at + 4),
    depth: page.readUInt16LE(at + 6),
    branches: Number(page.readBigUInt64LE(at + 8)),
    leaves: Number(page.readBigUInt64LE(at + 16)),
    overflow: Number(page.readBigUInt64LE(at + 24)),
    entries: Number(page.readBigUInt64LE(at + 32)),
    root: root === NO_ROOT ? undefined : Number(root),
  }
}

function pagesOf(node: Node): number {
  return Number(node.page.readBigUInt64LE(node.at + 2 * PAGE_NUMBER_BYTES))
}

/** Returns the number of a child page. A branch's node has it where a leaf's node has size and flags. */
function childOf({ bytes, flags }: Node): number {
  return bytes + flags * 2 ** 32
}

function order(key: Buffer, isExact: boolean, walked: Walked): void {
  const { before, isBeforeExact, compare, name } = walked
  const apart = before === undefined ? 1 : compare(key, before)
  if (apart < 0 || (apart === 0 && isBeforeExact))
    throw new Damage(`the keys of its table "${name}" are out of order`)
  walked.before = key
  walked.isBeforeExact = isExact
}

function compareIntegers(a: Buffer, b: Buffer): number {
  if (a.length !== PAGE_NUMBER_BYTES || b.length !== PAGE_NUMBER_BYTES) return -1
  return Number(a.readBigUInt64LE() - b.readBigUInt64LE())
}

function overwritten(page: number, name: string): Damage {
  return new Damage(`page ${page} of its table "${name}" is overwritten`)
}
