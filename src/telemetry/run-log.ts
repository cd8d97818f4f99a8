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
 * Lines for what runs do, whoever has submitted them, each with its thread and run. The ids are the client's; of what
 * was said or done nothing is logged.
 *
 * @returns what ends it.
 */
export function logRuns(logger: Logger): () => void {
  const subscriptions = [
    runStarted.subscribe((run) => logger.info(run, 'run started')),
    runEnded.subscribe(({ ms, ...run }) => logger.info({ ...run, ms: Math.round(ms) }, 'run ended')),
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
