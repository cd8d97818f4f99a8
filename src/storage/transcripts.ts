/**
 * What an agent writes down for itself, line by line, so that another process can go on with a conversation. It belongs
 * to the thread, and goes with it.
 */
export interface Transcripts {
  /** @throws {RunnerError} `elsewhere`, `storage_full`. */
  append(threadId: string, name: string, lines: readonly string[]): Promise<void>
  names(threadId: string): Promise<readonly string[]>
  /** Every line, oldest first. */
  read(threadId: string, name: string): Promise<readonly string[]>
}
