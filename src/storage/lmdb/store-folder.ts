import { spawnSync } from 'node:child_process'
import {
  closeSync,
  existsSync,
  lstatSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { hasErrno } from '../../errno.ts'
import { RunnerError, toMessage } from '../../errors.ts'
import { isFull, storageFull } from './room.ts'
import { unseal } from './seal.ts'
import { inspect } from './store-inspection.ts'
import { Damage } from './tree-walk.ts'

export interface StoreOptions {
  /** What happens to a store that cannot be used: `reset` sets it aside; `refuse`, the default, throws. */
  recovery?: 'refuse' | 'reset'
  /** Whether this version can use an intact value. Called for tables of which every value is needed. */
  isReadable?(table: string, value: Buffer): boolean
}

export const DATA_FILE = 'log.mdb'
const LOCK_FILE = 'log.mdb-lock'
/** Marker file: exists while the store is being opened, and stays if that ended the process. */
const MARKER = 'opening'
/** Size of LMDB's table of 126 readers, in bytes. LMDB maps it; on a full disk a missing page raises a signal. */
const LOCK_BYTES = 3 * 4096
const REFUSALS = ['EACCES', 'EPERM', 'EROFS']
const PROBE_MS = 60_000
/** Tables of which any value may be lost and reported as a gap. Of the other tables every value is needed. */
const GAPS_ALLOWED = new Set(['batches', 'blobs'])

/** A program for a process of its own. Its arguments are the paths of lmdb and of the store. */
const READ_ALL = `
  const [, lmdb, path] = process.argv
  const root = require(lmdb).open({ path, maxDbs: 16, compression: false })
  for (const name of [...root.getKeys()])
    for (const entry of root.openDB({ name, encoding: 'binary' }).getRange());
`

/**
 * Prepares a folder that LMDB can map: checks what is there, and refuses or sets aside a damaged store.
 *
 * @returns what was set aside, and why; undefined when nothing was.
 * @throws {RunnerError} `storage_damaged`, `storage_full`.
 */
export function prepareStore(
  directory: string,
  { recovery, isReadable }: Required<StoreOptions>,
): { setAside: string; problem: string } | undefined {
  const problem = problemOf(directory, isReadable)
  if (problem === undefined) return undefined
  if (recovery === 'refuse') throw unusable(directory, problem)
  const time = new Date()
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '-')
  const setAside = `${directory}.damaged-${time}`
  try {
    renameSync(directory, setAside)
  } catch (error) {
    throw unusable(directory, `${problem}, and it cannot be set aside (${toMessage(error)})`)
  }
  makeFolder(directory)
  return { setAside, problem }
}

/** Writes the marker, which `end` removes: it stays only if a signal ends the process in between. */
export function markOpening(directory: string): { end(): void } {
  const marker = join(directory, MARKER)
  try {
    writeFileSync(marker, '')
    // Written as zeros that are on the disk before LMDB maps the file.
    const lock = join(directory, LOCK_FILE)
    if (!existsSync(lock) || statSync(lock).size < LOCK_BYTES) writeFileSync(lock, Buffer.alloc(LOCK_BYTES))
  } catch (error) {
    if (isFull(error)) throw storageFull(join(directory, LOCK_FILE), error)
    throw isRefused(error) ? notPermitted(directory, error) : unusable(directory, toMessage(error))
  }
  return { end: () => rmSync(marker, { force: true }) }
}

export function unusable(directory: string, problem: string): RunnerError {
  const message = `The store in ${directory} cannot be used: ${problem}. Put a copy of it back; or start with STATE_RECOVERY=reset, which sets it aside as ${directory}.damaged-<time> and begins anew.`
  return new RunnerError('storage_damaged', message, { details: { directory } })
}

function problemOf(directory: string, isReadable: StoreOptions['isReadable'] & {}): string | undefined {
  const data = join(directory, DATA_FILE)
  try {
    makeFolder(directory)
    const other = [DATA_FILE, LOCK_FILE, MARKER].find((name) => isOtherThanFile(join(directory, name)))
    if (other !== undefined) return `${other} in it is not a file`
    const isMarked = existsSync(join(directory, MARKER))
    if (!existsSync(data))
      return !isMarked && existsSync(join(directory, LOCK_FILE)) ? `${DATA_FILE} in it is gone` : undefined
    for (const name of [DATA_FILE, LOCK_FILE]) checkWritable(join(directory, name))
    // The process ended while it created the file: nothing was in it.
    if (isMarked && statSync(data).size === 0) return undefined
    const found = inspect(data, {
      isChecked: (table) => !GAPS_ALLOWED.has(table),
      flawOf(stored, place) {
        const value = unseal(place, stored)
        if (value === undefined) return 'what was written'
        return isReadable(place.table, value) ? undefined : 'what this version writes'
      },
    })
    giveUpHoles(data, found)
    return isMarked ? probeStore(data) : undefined
  } catch (error) {
    if (isFull(error)) throw storageFull(directory, error)
    if (error instanceof Damage) return error.message
    if (isRefused(error)) throw notPermitted(directory, error)
    return toMessage(error)
  }
}

/** Whether the path is anything but a file, such as a dangling link. Opening a pipe would block. */
function isOtherThanFile(path: string): boolean {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
  return isThere && statSync(path, { throwIfNoEntry: false })?.isFile() !== true
}

function makeFolder(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o770 })
}

/** Cuts unused holes off. A copy may have holes where the original reserved zeros; they take no room on the disk. */
function giveUpHoles(path: string, { pageBytes, lastPage }: { pageBytes: number; lastPage: number }): void {
  const { size, blocks } = statSync(path)
  const used = (lastPage + 1) * pageBytes
  if (blocks * 512 < size && size > used) truncateSync(path, used)
}

/**
 * Opens and reads the data file in a process of its own.
 *
 * @returns how that process failed; undefined when it did not.
 */
export function probeStore(path: string): string | undefined {
  const lmdb = createRequire(import.meta.url).resolve('lmdb')
  const args = ['--eval', READ_ALL, lmdb, path]
  const { status, signal } = spawnSync(process.execPath, args, { timeout: PROBE_MS, stdio: 'ignore' })
  if (status === 0) return undefined
  const end = signal === null ? `ends with ${status}` : `ends by ${signal}`
  return `the last start ended while it was opened, and a process that reads it ${end}`
}

/** LMDB opens its files for writing. @throws the system's error when this user may not. */
function checkWritable(path: string): void {
  if (existsSync(path)) closeSync(openSync(path, 'r+'))
}

function isRefused(error: unknown): boolean {
  return hasErrno(error, ...REFUSALS)
}

/** Such a store may be whole, so it is never set aside. */
function notPermitted(directory: string, cause: unknown): RunnerError {
  const message = `The store in ${directory} cannot be opened: ${toMessage(cause)}. Give user ${process.geteuid?.()} access to it, or name another RUNNER_STATE_DIR.`
  return new RunnerError('storage_damaged', message, { cause })
}
