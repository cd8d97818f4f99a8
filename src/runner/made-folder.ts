import { mkdir } from 'node:fs/promises'
import { hasErrno } from '../errno.ts'
import { RunnerError, toMessage } from '../errors.ts'

/**
 * Makes the folder that a variable names, and those above it.
 *
 * @throws {RunnerError} `config_invalid` when there can be no such folder; the system's error when the disk is full.
 */
export async function makeFolder(variable: string, path: string): Promise<void> {
  try {
    await mkdir(path, { recursive: true })
  } catch (error) {
    if (hasErrno(error, 'ENOSPC', 'EDQUOT')) throw error
    const message = `${variable}: no folder can be made there (${toMessage(error)}); give another.`
    throw new RunnerError('config_invalid', message, { cause: error })
  }
}
