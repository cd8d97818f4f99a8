import { AwakeTimer } from '../awake-timer.ts'
import { type ClaudeProcess, startFailure } from './process/process.ts'
import type { Turn } from './turn.ts'

interface Stopping {
  claude: ClaudeProcess
  turn: Turn
  /** Settles when the turn has ended. */
  ended: Promise<unknown>
  kill(): void
  /** Time that the turn has to stop by itself. */
  graceMs: number
}

/** Stops the turn and keeps the session. Kills a process that does not obey within the grace period. */
export async function stopTurn({ claude, turn, ended, kill, graceMs }: Stopping): Promise<void> {
  const grace = new AwakeTimer(graceMs, kill)
  // Before its turn has begun Claude Code has nothing to interrupt. It would ignore the request and answer the prompt.
  turn.begun
    .then(() => claude.interrupt())
    .catch(() => {
      // The process died meanwhile; its exit ends the turn.
    })
  // The follower of the turn gets the error.
  await ended.catch(() => undefined)
  grace.close()
}

/** Ends the turn, with the reason, when its process ends or does not become ready. */
export async function failWithProcess(turn: Turn, claude: ClaudeProcess): Promise<void> {
  const forget = claude.onExited((exit) => turn.fail(claude.failureOf(exit)))
  await claude.ready().catch((error: unknown) => turn.fail(startFailure(error)))
  await turn.finished
  forget()
}
