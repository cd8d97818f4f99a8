import { access, constants } from 'node:fs/promises'
import type { Config } from '../config.ts'
import { isCode } from '../errors.ts'
import { Store } from '../storage/lmdb/store.ts'
import type { Logger } from '../telemetry/logger.ts'

/** @throws {RunnerError} `storage_damaged`, `storage_full`. */
export function openStore({ stateDirectory, stateRecovery }: Config, logger: Logger): Store {
  const store = Store.open(`${stateDirectory}/store`, { recovery: stateRecovery })
  if (store.replaced !== undefined)
    logger.warn(store.replaced, 'the store was damaged: it is set aside and begun anew')
  return store
}

/** @throws when a run could not be stored. */
export async function checkState({ stateDirectory }: Config, store: Store): Promise<void> {
  await access(stateDirectory, constants.W_OK)
  store.checkRoom()
}

/** A full disk is waited for, and /ready says so; whatever else keeps the log from being written ends the runner. */
export function onLogFailure(logger: Logger, onFatal: (error: unknown) => void): (error: unknown) => void {
  return (error) => {
    if (isCode(error, 'storage_full')) logger.error({ err: error }, 'not stored')
    else onFatal(error)
  }
}
