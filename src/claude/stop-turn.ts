import { type ClaudeProcess, startFailure } from './process/process.ts'
import type { Turn } from './turn.ts'

interface Stopping {
  claude: ClaudeProcess
  turn: Turn
  /** Settles when the turn has ended. */
  ended: Promise<unknown>
  kill(): void
  /** How long the turn may take to stop by itself. */
  graceMs: number
}

/** Stops the turn and keeps the session; a process that does not obey within the grace is killed. */
export async function stopTurn({ claude, turn, ended, kill, graceMs }: Stopping): Promise<void> {
  const grace = setTimeout(kill, graceMs)
  // Before its turn has begun Claude Code has nothing to interrupt, and would then answer the prompt all the same.
  turn.begun
    .then(() => claude.interrupt())
    .catch(() => {
      // It died meanwhile; its exit ends the turn.
    })
  // Whoever follows the turn learns how it ended.
  await ended.catch(() => undefined)
  clearTimeout(grace)
}

/** The process may have died just now, or never come to answer: the turn ends with it, and the reason. */
export async function failWithProcess(turn: Turn, claude: ClaudeProcess): Promise<void> {
  const exited = claude.exited.then((exit) => turn.fail(claude.failureOf(exit)))
  const ready = claude.ready().catch((error: unknown) => turn.fail(startFailure(error)))
  await Promise.all([exited, ready])
}
