import { closeSync, fstatSync, openSync, statfsSync, writeSync } from 'node:fs'
import { hasErrno } from '../../errno.ts'
import { RunnerError, toMessage } from '../../errors.ts'

export interface RoomOptions {
  /** LMDB's data file. */
  path: string
  pageBytes: number
  /** The highest page in use, as of the last commit. */
  lastPage(): number
}

/** Largest value that shares a page with others, in bytes. */
const INLINE_BYTES_MAX = 1024
/** Pages that one write takes besides its value: new copies of a leaf and of a branch above it. */
const PATH_PAGES = 2
/** Pages that one transaction takes besides: roots, the lists of databases and of free pages. */
const TRANSACTION_PAGES = 32
/** Pages kept for writes that must succeed when all others are refused: the ends of runs, and deletions. */
const LAST_WORDS_PAGES = 64
/** Pages by which the file grows at once; fewer unless the disk has room for `PLENTY` such steps. */
const STEP_PAGES = 256
const SMALL_STEP_PAGES = 16
const PLENTY = 64

const ZEROS = Buffer.alloc(STEP_PAGES * 4096)
const FULL = ['ENOSPC', 'EDQUOT', 'EFBIG']

/**
 * The part of the data file behind LMDB's last page. It is taken from the disk, as zeros, before a write may use it: on
 * a full disk LMDB would abort the process for a value larger than a page. The zeros are appended with O_APPEND, behind
 * the current end of the file, so they never overwrite LMDB's own writes.
 */
export class Room {
  readonly #options: RoomOptions
  readonly #file: number
  /** Pages behind the last one that no admitted write has claimed; too low rather than too high. */
  #left = 0
  /** Pages claimed by writes that are not committed yet. */
  #claimed = 0

  constructor(options: RoomOptions) {
    this.#options = options
    this.#file = openSync(options.path, 'a')
  }

  /**
   * Claims the pages that a write of `bytes` bytes may need; a removal has 0 bytes. Pass the returned number of pages
   * to `settle` when the write is committed or has failed.
   *
   * @param isLast whether the write may use the pages kept for last words.
   * @throws {RunnerError} `storage_full`.
   */
  claim(bytes: number, isLast: boolean): number {
    const pages = this.#pagesOf(bytes)
    this.#ensure(pages, isLast ? 0 : TRANSACTION_PAGES + LAST_WORDS_PAGES)
    this.#left -= pages
    this.#claimed += pages
    return pages
  }

  settle(pages: number): void {
    this.#claimed -= pages
  }

  /** Returns how many removals may be committed together: `max`, or fewer on a full disk. */
  removals(max: number): number {
    try {
      this.#ensure(max * PATH_PAGES, TRANSACTION_PAGES)
      return max
    } catch (error) {
      if (!(error instanceof RunnerError)) throw error
      return Math.max(1, Math.floor((this.#left - TRANSACTION_PAGES) / PATH_PAGES / 2))
    }
  }

  /** Checks for room. @throws {RunnerError} `storage_full` when a small run would not find any. */
  check(): void {
    this.#ensure(LAST_WORDS_PAGES, TRANSACTION_PAGES + LAST_WORDS_PAGES)
  }

  close(): void {
    closeSync(this.#file)
  }

  #pagesOf(bytes: number): number {
    const isInline = bytes <= INLINE_BYTES_MAX
    return PATH_PAGES + (isInline ? Math.sign(bytes) : Math.ceil((bytes + 32) / this.#options.pageBytes))
  }

  #ensure(pages: number, spare: number): void {
    const needed = pages + spare
    if (this.#left >= needed) return
    this.#measure()
    // A commit that ends meanwhile counts twice, by its pages and by its claim. The file then grows once more.
    while (this.#left < needed) {
      const isGrown = this.#grow(needed - this.#left)
      if (!isGrown && this.#left < needed) throw storageFull(this.#options.path)
    }
  }

  #measure(): void {
    const { pageBytes, lastPage } = this.#options
    this.#left = Math.floor(fstatSync(this.#file).size / pageBytes) - lastPage() - 1 - this.#claimed
  }

  /** Grows the file by at least `pages` pages if the disk has them. Returns whether it has. */
  #grow(pages: number): boolean {
    const { pageBytes, path } = this.#options
    const { bavail, bsize } = statfsSync(path)
    const step = bavail * bsize > PLENTY * STEP_PAGES * pageBytes ? STEP_PAGES : SMALL_STEP_PAGES
    let missing = (Math.ceil(pages / step) * step + 1) * pageBytes
    try {
      while (missing > 0) missing -= writeSync(this.#file, ZEROS, 0, Math.min(missing, ZEROS.length))
    } catch (error) {
      if (!isFull(error)) throw error
    }
    this.#measure()
    return missing <= 0
  }
}

/** Whether a system call failed because there is no room. */
export function isFull(error: unknown): boolean {
  return hasErrno(error, ...FULL)
}

export function storageFull(path: string, cause?: unknown): RunnerError {
  const why = cause === undefined ? '' : ` (${toMessage(cause)})`
  const message = `The disk of the state folder is full: ${path} cannot grow${why}. Free space there, or delete threads; what was sent stays readable.`
  return new RunnerError('storage_full', message, { cause })
}
