import { backgroundFailed } from './channels.ts'

/** What the work is, and the thread and run that it belongs to when it does. */
export interface BackgroundWork {
  /** In few distinct words. */
  name: string
  threadId?: string
  runId?: string
}

/**
 * Work that nobody awaits. It is the one owner of such promises: a failure goes to the log, and to `onFailure`, which
 * ends the run that it concerns. Never does it end the process.
 */
export function inBackground(
  work: BackgroundWork,
  promise: Promise<unknown>,
  onFailure?: (error: unknown) => void,
): void {
  promise
    .catch((error: unknown) => {
      backgroundFailed.publish({ ...work, error })
      onFailure?.(error)
    })
    // The handler may fail as well.
    .catch((error: unknown) => backgroundFailed.publish({ ...work, error }))
}
