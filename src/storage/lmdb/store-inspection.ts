import { closeSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs'
import { Damage, type PageTree, pageTreeOf, TreeWalk, type TreeWalkOptions } from './tree-walk.ts'

export interface Inspection {
  pageBytes: number
  /** The highest page number that any snapshot of the file uses. */
  lastPage: number
}

/** The layout of LMDB 0.9.90 as lmdb 3.5 builds it (dependencies/lmdb/libraries/liblmdb/mdb.c). */
const HEADER_BYTES = 24
const META_BYTES = HEADER_BYTES + 144
const META_FLAG = 8
const MAGIC = 0xbeefc0de
const VERSION = 2
const PAGE_BYTES_MIN = 512
const PAGE_BYTES_MAX = 0x8000
/** Flag of a snapshot that was committed and not flushed yet. */
const NOT_FLUSHED = 0x1000

interface Meta {
  pageBytes: number
  flags: number
  free: PageTree
  main: PageTree
  lastPage: number
  txnId: bigint
  bootId: bigint
}

/**
 * Checks the file before LMDB maps it: access to a missing page raises a signal, and a pointer on a damaged page leads
 * anywhere. Reads every page of every tree; of a large value only the first page, unless its table is checked.
 *
 * @throws {Damage}, and errors of the file system.
 */
export function inspect(
  path: string,
  { isChecked, flawOf }: Pick<TreeWalkOptions, 'isChecked' | 'flawOf'>,
): Inspection {
  const file = openSync(path, 'r')
  try {
    const { size } = fstatSync(file)
    if (size === 0) throw new Damage('its data file is empty')
    const read = (offset: number, bytes: number): Buffer => {
      const buffer = Buffer.allocUnsafe(bytes)
      for (let done = 0; done < bytes; ) {
        const got = readSync(file, buffer, done, bytes - done, offset + done)
        if (got === 0)
          throw new Damage(`its data file ends at ${size} bytes, in the middle of what it should hold`)
        done += got
      }
      return buffer
    }
    const metas = readMetas(read)
    const { pageBytes } = metas.first
    const lastPage = Math.max(metas.first.lastPage, metas.second.lastPage, metas.flushed.lastPage)
    const used = pick(pick(metas.first, metas.second), metas.flushed)
    const needed = (used.lastPage + 1) * pageBytes
    if (size < needed) throw new Damage(`its data file has ${size} bytes of ${needed}: it was cut off`)
    const walk = new TreeWalk({ read, pageBytes, lastPage: used.lastPage, isChecked, flawOf })
    walk.freePages(used.free)
    walk.databases(used.main)
    return { pageBytes, lastPage }
  } finally {
    closeSync(file)
  }
}

type Read = (offset: number, bytes: number) => Buffer

function readMetas(read: Read): { first: Meta; second: Meta; flushed: Meta } {
  const page = read(0, META_BYTES)
  if (page.readUInt32LE(HEADER_BYTES) !== MAGIC) throw new Damage('its data file is not an LMDB file')
  const { pageBytes } = metaOf(page)
  const isPower = (pageBytes & (pageBytes - 1)) === 0
  if (pageBytes < PAGE_BYTES_MIN || pageBytes > PAGE_BYTES_MAX || !isPower)
    throw new Damage(`its first page names a page size of ${pageBytes} bytes`)
  const first = checkedMeta(page, pageBytes, 0)
  const second = checkedMeta(read(pageBytes, META_BYTES), pageBytes, 1)
  const flushed = metaOf(read(pageBytes / 2, META_BYTES))
  const latest = first.txnId > second.txnId ? first : second
  const apart = first.txnId - second.txnId
  if (apart > 1n || apart < -1n) throw new Damage('its first two pages are not of one life')
  const isSame = flushed.main.root === latest.main.root && flushed.free.root === latest.free.root
  if (flushed.txnId > latest.txnId || (flushed.txnId === latest.txnId && flushed.txnId > 0n && !isSame))
    throw new Damage('its first page names a snapshot that never was')
  return { first, second, flushed }
}

function checkedMeta(page: Buffer, pageBytes: number, number: number): Meta {
  const isMeta =
    page.readBigUInt64LE(0) === BigInt(number) &&
    (page.readUInt16LE(18) & META_FLAG) !== 0 &&
    page.readUInt32LE(HEADER_BYTES) === MAGIC
  if (!isMeta) throw new Damage(`its page ${number} is overwritten`)
  const version = page.readUInt32LE(HEADER_BYTES + 4)
  if (version !== VERSION) throw new Damage(`its format is ${version}, not ${VERSION}`)
  const meta = metaOf(page)
  if (meta.pageBytes !== pageBytes && meta.txnId > 0n) throw new Damage(`its page ${number} is overwritten`)
  return meta
}

function metaOf(page: Buffer): Meta {
  return {
    pageBytes: page.readUInt32LE(48),
    flags: page.readUInt16LE(52),
    free: pageTreeOf(page, 48),
    main: pageTreeOf(page, 96),
    lastPage: Number(page.readBigUInt64LE(144)),
    txnId: page.readBigUInt64LE(152),
    bootId: page.readBigInt64LE(160),
  }
}

/** Chooses as LMDB does: the newer snapshot, unless the machine went down before it was flushed. */
function pick(a: Meta, b: Meta): Meta {
  const latest = a.txnId >= b.txnId ? a : b
  if (b.txnId === 0n) return a
  const isFlushed = (latest.flags & NOT_FLUSHED) === 0
  if ((latest.bootId !== 0n && latest.bootId === bootId()) || isFlushed) return latest
  return a.txnId > b.txnId ? b : a
}

function bootId(): bigint {
  try {
    const text = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1')
    return BigInt(`0x${text.split('-')[0]}`)
  } catch {
    return 0n
  }
}
