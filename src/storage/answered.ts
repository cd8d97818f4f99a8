import { isCode } from '../errors.ts'

/**
 * Repeats `work` until the store answers: an attempt itself waits for seconds before it ends as `storage_unavailable`.
 * For work that must not be given up, as a request would be. Ends also when `signal` is aborted.
 */
export async function answered<T>(work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isCode(error, 'storage_unavailable') || signal?.aborted === true) throw error
    }
  }
}
