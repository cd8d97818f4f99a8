import { spawnSync } from 'node:child_process'
import {
  existsSync,
  lstatSync,
  mkdirSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { RunnerError, toMessage } from '../../errors.ts'
import { isFull, storageFull } from './room.ts'
import { unseal } from './seal.ts'
import { inspect } from './store-inspection.ts'
import { Damage } from './tree-walk.ts'

export interface StoreOptions {
  /** What happens to a store that cannot be used; `refuse` when left out. */
  recovery?: 'refuse' | 'reset'
  /** Whether a whole value, of a table of which each is needed, is one that this version can work on. */
  isReadable?(table: string, value: Buffer): boolean
}

export const DATA_FILE = 'log.mdb'
const LOCK_FILE = 'log.mdb-lock'
/** There while the store is being opened, and still there when that has ended the process. */
const MARKER = 'opening'
/** LMDB's table of 126 readers, which it maps and writes to: on a full disk a page of it that is not there is a signal. */
const LOCK_BYTES = 3 * 4096
const PROBE_MS = 60_000
/** The tables of many values, any of which may be lost and reported as a gap. Of the others each value is needed. */
const GAPS_ALLOWED = new Set(['batches', 'blobs'])

/** A program of its own; its arguments say where lmdb and the store are. */
const READ_ALL = `
  const [, lmdb, path] = process.argv
  const root = require(lmdb).open({ path, maxDbs: 16, compression: false })
  for (const name of [...root.getKeys()])
    for (const entry of root.openDB({ name, encoding: 'binary' }).getRange());
`

/**
 * Makes the folder one that LMDB can map: looks through what is there, and refuses or sets aside what is damaged.
 *
 * @returns what was set aside, and why.
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

/** Between `begin` and `end` a signal would leave its mark. */
export function markOpening(directory: string): { end(): void } {
  const marker = join(directory, MARKER)
  try {
    writeFileSync(marker, '')
    // Of zeros that are really there, before it is mapped.
    const lock = join(directory, LOCK_FILE)
    if (!existsSync(lock) || statSync(lock).size < LOCK_BYTES) writeFileSync(lock, Buffer.alloc(LOCK_BYTES))
  } catch (error) {
    if (isFull(error)) throw storageFull(join(directory, LOCK_FILE), error)
    throw unusable(directory, toMessage(error))
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
    // Cut off while it was made: nothing was in it.
    if (isMarked && statSync(data).size === 0) return undefined
    const found = inspect(data, {
      isChecked: (table) => !GAPS_ALLOWED.has(table),
      flawOf(stored, table) {
        const value = unseal(stored)
        if (value === undefined) return 'what was written'
        return isReadable(table, value) ? undefined : 'what this version writes'
      },
    })
    giveUpHoles(data, found)
    return isMarked ? probeStore(data) : undefined
  } catch (error) {
    if (isFull(error)) throw storageFull(directory, error)
    if (error instanceof Damage) return error.message
    if (hasCode(error, 'EACCES', 'EPERM', 'EROFS')) {
      const message = `The store in ${directory} cannot be opened: ${toMessage(error)}. Give user ${process.getuid?.()} access to it, or name another RUNNER_STATE_DIR.`
      throw new RunnerError('storage_damaged', message, { cause: error })
    }
    return toMessage(error)
  }
}

/** Also a link that leads nowhere; a pipe would be waited for. */
function isOtherThanFile(path: string): boolean {
  const isThere = lstatSync(path, { throwIfNoEntry: false }) !== undefined
  return isThere && statSync(path, { throwIfNoEntry: false })?.isFile() !== true
}

function makeFolder(directory: string): void {
  mkdirSync(directory, { recursive: true, mode: 0o770 })
}

/** A copy of the file may have holes where the original had reserved zeros; they are no room on the disk. */
function giveUpHoles(path: string, { pageBytes, lastPage }: { pageBytes: number; lastPage: number }): void {
  const { size, blocks } = statSync(path)
  const used = (lastPage + 1) * pageBytes
  if (blocks * 512 < size && size > used) truncateSync(path, used)
}

/**
 * Opens and reads the data file in a process of its own.
 *
 * @returns what that one died of.
 */
export function probeStore(path: string): string | undefined {
  const lmdb = createRequire(import.meta.url).resolve('lmdb')
  const args = ['--eval', READ_ALL, lmdb, path]
  const { status, signal } = spawnSync(process.execPath, args, { timeout: PROBE_MS, stdio: 'ignore' })
  if (status === 0) return undefined
  const end = signal === null ? `ends with ${status}` : `ends by ${signal}`
  return `the last start ended while it was opened, and a process that reads it ${end}`
}

function hasCode(error: unknown, ...codes: string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code))
}
