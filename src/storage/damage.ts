import { RunnerError } from '../errors.ts'

/** Returns a `storage_damaged` error. @param what the text behind "The store is damaged: ", without a full stop. */
export function storeDamaged(what: string, cause?: unknown): RunnerError {
  return new RunnerError('storage_damaged', `The store is damaged: ${what}.`, { cause })
}
