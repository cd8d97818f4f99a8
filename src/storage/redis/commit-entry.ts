import assert from 'node:assert'
import type { Batch } from '../batch.ts'
import { encodeBlob } from '../blob.ts'
import type { Commit } from '../storage.ts'
import type { Write } from '../table.ts'
import type { Argument } from './connection.ts'
import { THREAD_TYPES, type ThreadKey } from './keys.ts'
import { COMMIT, LAST_COMMIT, type RedisScript } from './scripts.ts'

/** A commit on its way to Redis, and for a while behind it. */
export interface Entry {
  n: number
  script: RedisScript
  keys: readonly string[]
  args: readonly Argument[]
  bytes: number
  batch: Batch | undefined
  isSettled: boolean
  /** Why the entry is not written, now or later; undefined when it is not refused. */
  refusal: unknown
  /** When the entry was made or confirmed, whichever was last. */
  at: number
}

interface EntryPlace {
  /** The commit's number under its fence. */
  n: number
  keys: readonly string[]
  now: number
  retentionBytes: number
  retentionMs: number
}

const INDEX = new Map(Object.keys(THREAD_TYPES).map((name, index) => [name, index + 1]))
const indexOf = (key: ThreadKey): number => INDEX.get(key) ?? 0

/** Returns the entry of a commit, with all arguments of its script but the fence. */
export function commitEntryOf(
  { blobs = [], writes = [], isLast = false }: Commit,
  batch: Batch | undefined,
  { n, keys, now, retentionBytes, retentionMs }: EntryPlace,
): Entry {
  const body = batch?.encode() ?? ''
  const seqs = `${batch?.last ?? 0} ${batch?.first ?? 0}`
  const numbers = `${n} ${seqs} ${retentionBytes} ${retentionMs} ${now - retentionMs} ${blobs.length}`
  const stored = blobs.flatMap((blob) => [blob.id, Buffer.concat(encodeBlob(blob))])
  const args = [numbers, body, ...stored, ...writes.flatMap(writeArguments)]
  const bytes = args.reduce<number>((sum, each) => sum + (Buffer.isBuffer(each) ? each.length : 16), 0)
  return {
    n,
    script: isLast ? LAST_COMMIT : COMMIT,
    keys: writes.length === 0 ? keys.slice(0, indexOf('blobs')) : keys,
    args,
    bytes,
    batch,
    isSettled: false,
    refusal: undefined,
    at: now,
  }
}

function writeArguments(write: Write): Argument[] {
  const [, member = 'facts'] = write.key
  assert(write.table !== 'workspace', 'the workspace belongs to no thread')
  const key = indexOf(write.table === 'threads' ? 'meta' : write.table)
  if (write.value === undefined) return [key, member, 0, '']
  return [key, member, 1, write.table === 'queue' ? write.value : JSON.stringify(write.value)]
}
