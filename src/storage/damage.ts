import { RunnerError } from '../errors.ts'

/** @param what follows "The store is damaged: ", without a full stop. */
export function storeDamaged(what: string, cause?: unknown): RunnerError {
  return new RunnerError('storage_damaged', `The store is damaged: ${what}.`, { cause })
}
