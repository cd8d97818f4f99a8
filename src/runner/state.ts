import { createHash } from 'node:crypto'
import { mkdir } from 'node:fs/promises'
import { killTree } from '../claude/process/process-tree.ts'
import type { Config } from '../config.ts'
import { isCode } from '../errors.ts'
import { LmdbStorage } from '../storage/lmdb/lmdb-storage.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import { checkFolder, type Said } from './checks.ts'

const LEFTOVER_KILL_MS = 2000

/**
 * The workspace is there, and nothing works in it: what a runner that was killed left behind on this state folder would
 * write to the same Claude sessions. Returns the mark of its processes and of those to come.
 */
export async function clearPlace({ workspace, stateDirectory }: Config): Promise<string> {
  await mkdir(workspace, { recursive: true })
  const mark = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 16)
  await killTree(mark, { timeoutMs: LEFTOVER_KILL_MS })
  return mark
}

/** @throws {RunnerError} `storage_damaged`, `storage_full`. */
export async function openStorage(
  { stateDirectory, stateRecovery, limits }: Config,
  logger: Logger,
): Promise<Storage> {
  const storage = await LmdbStorage.open(`${stateDirectory}/store`, {
    recovery: stateRecovery,
    retentionBytes: limits.logRetentionBytes,
  })
  if (storage.replaced !== undefined)
    logger.warn(storage.replaced, 'the store was damaged: it is set aside and begun anew')
  return storage
}

/** @throws when a run could not be stored. */
export async function checkState({ stateDirectory }: Config, storage: Storage): Promise<Said> {
  await storage.checkRoom()
  return await checkFolder(stateDirectory)
}

/** A full disk is waited for, and /ready says so; whatever else keeps the log from being written ends the runner. */
export function onLogFailure(logger: Logger, onFatal: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    if (isCode(error, 'storage_full')) logger.error({ err: error }, 'not stored')
    else onFatal(error)
  }
}
