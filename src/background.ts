import { backgroundFailed } from './channels.ts'

/** Names a piece of background work, and the thread and run that it belongs to, if any. */
export interface BackgroundWork {
  /** The name of the work, from a small set. */
  name: string
  threadId?: string
  runId?: string
}

/**
 * Owns a promise that nobody awaits. A failure is logged and passed to `onFailure`, which ends the run that it
 * concerns. It never ends the process.
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
    // `onFailure` may fail as well.
    .catch((error: unknown) => backgroundFailed.publish({ ...work, error }))
}
