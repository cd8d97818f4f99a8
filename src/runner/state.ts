import { createHash, randomUUID } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import type { AgentMemory } from '../agent/agent.ts'
import { isMemory } from '../claude/memory.ts'
import { killTree } from '../claude/process/process-tree.ts'
import type { Config } from '../config.ts'
import { isCode } from '../errors.ts'
import { LmdbStorage } from '../storage/lmdb/lmdb-storage.ts'
import type { Storage } from '../storage/storage.ts'
import type { Logger } from '../telemetry/logger.ts'
import { isReadable } from '../thread/stored-threads.ts'
import { checkFolder, type Said } from './checks.ts'
import { makeFolder } from './made-folder.ts'

const LEFTOVER_KILL_MS = 2000

/**
 * Creates the workspace, and kills the processes that a killed runner left behind on this state folder: they would
 * write to the same Claude sessions. Returns the mark of those processes and of all later ones.
 */
export async function clearLeftovers({ workspace, stateDirectory }: Config): Promise<string> {
  await makeFolder('WORKSPACE_PATH', workspace)
  const mark = createHash('sha256').update(stateDirectory).digest('hex').slice(0, 16)
  await killTree(mark, { timeoutMs: LEFTOVER_KILL_MS })
  return mark
}

/**
 * Opens the storage in the state folder, or in the Redis of EVENT_LOG_URL.
 *
 * @param isKnown whether the agent can continue from a stored memory.
 * @throws {RunnerError} `storage_damaged`, `storage_full`, `storage_unavailable`, `config_invalid`.
 */
export async function openStorage(
  config: Config,
  logger: Logger,
  isKnown: (memory: AgentMemory) => boolean = isMemory,
): Promise<Storage> {
  const { stateDirectory, stateRecovery, limits, eventLogUrl } = config
  if (eventLogUrl !== undefined)
    return await openSharedStorage(config, eventLogUrl, await runnerIdOf(stateDirectory))
  const storage = await LmdbStorage.open(`${stateDirectory}/store`, {
    recovery: stateRecovery,
    isReadable: (table, value) => isReadable(table, value, isKnown),
    retentionBytes: limits.logRetentionBytes,
  })
  if (storage.replaced !== undefined)
    logger.warn(storage.replaced, 'the store was damaged: it is set aside and begun anew')
  return storage
}

/** Opens the storage in a Redis that several runners share, under this runner's id. */
export async function openSharedStorage(
  { runnerUrl, limits }: Pick<Config, 'runnerUrl' | 'limits'>,
  url: string,
  runnerId: string,
): Promise<Storage> {
  // Imported only when it is used.
  const { RedisStorage } = await import('../storage/redis/redis-storage.ts')
  return await RedisStorage.open({
    url,
    runnerId,
    runnerUrl,
    leaseMs: limits.threadLeaseMs,
    retentionBytes: limits.logRetentionBytes,
    retentionMs: limits.logRetentionMs,
  })
}

/** Returns the runner's id. It is kept in the state folder, so that a restarted runner owns its threads again. */
async function runnerIdOf(stateDirectory: string): Promise<string> {
  const file = `${stateDirectory}/runner-id`
  const known = await readFile(file, 'utf8').catch(() => '')
  if (known.trim() !== '') return known.trim()
  const id = randomUUID()
  // Written by a rename, because half an id would be a different runner's.
  await writeFile(`${file}.new`, `${id}\n`, { mode: 0o600 })
  await rename(`${file}.new`, file)
  return id
}

/** Checks that a run can be stored. @throws {RunnerError} `storage_full`; the system's error for the state folder. */
export async function checkState({ stateDirectory }: Config, storage: Storage): Promise<Said> {
  await checkRoom(storage)
  return await checkFolder(stateDirectory)
}

export async function checkRoom(storage: Storage): Promise<Said> {
  await storage.checkRoom()
  return { says: '' }
}

/**
 * Returns the handler of a failed write to the log. A full disk is only logged, because it may pass and /ready reports
 * it. So is a thread that another runner has taken over. Every other failure ends the runner.
 */
export function onLogFailure(logger: Logger, onFatal: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    if (isCode(error, 'storage_full', 'elsewhere')) logger.error({ err: error }, 'not stored')
    else onFatal(error)
  }
}
