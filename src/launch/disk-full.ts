/** The system's codes, and its words where a program says them. */
const WORDS = /\bENOSPC\b|\bEDQUOT\b|no space left on device|disk quota exceeded/i

/** Whether a failure, of ours or of a program that was started, is that of a full disk. */
export function isDiskFull(error: unknown): boolean {
  return error instanceof Error && (WORDS.test(error.message) || isDiskFull(error.cause))
}
