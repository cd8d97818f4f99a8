/**
 * The agent's own transcripts, line by line, so that another process can go on with a conversation. They belong to the
 * thread and are removed with it.
 */
export interface Transcripts {
  /** Appends lines to a transcript. @throws {RunnerError} `elsewhere`, `storage_full`. */
  append(threadId: string, name: string, lines: readonly string[]): Promise<void>
  names(threadId: string): Promise<readonly string[]>
  /** Returns every line, oldest first. */
  read(threadId: string, name: string): Promise<readonly string[]>
}
