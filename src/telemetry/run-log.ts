import {
  backgroundFailed,
  claudeExited,
  claudeStarted,
  policyDenied,
  runEnded,
  runStarted,
} from '../channels.ts'
import type { Logger } from './logger.ts'

/**
 * Logs what runs do, whichever way they were submitted, each line with its thread and run. The ids are the client's.
 * The content of messages and tool calls is never logged.
 *
 * @returns a function that ends the logging.
 */
export function logRuns(logger: Logger): () => void {
  const subscriptions = [
    runStarted.subscribe(({ threadId, runId }) => logger.info({ threadId, runId }, 'run started')),
    runEnded.subscribe(({ ms, usage: _usage, ...run }) =>
      logger.info({ ...run, ms: Math.round(ms) }, 'run ended'),
    ),
    claudeStarted.subscribe((started) => logger.info(started, 'Claude Code started')),
    claudeExited.subscribe((exit) =>
      exit.wanted ? logger.info(exit, 'Claude Code ended') : logger.warn(exit, 'Claude Code died'),
    ),
    backgroundFailed.subscribe(({ name, error, ...run }) =>
      logger.error({ ...run, work: name, err: error }, 'work in the background failed'),
    ),
    policyDenied.subscribe((denied) => logger.info(denied, 'denied by policy')),
  ]
  return () => {
    for (const unsubscribe of subscriptions) unsubscribe()
  }
}
