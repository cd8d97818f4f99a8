import { isCode } from '../errors.ts'

/** Exit codes (contract sections 2 and 10). 3 to 5 are those of `STOP_ON_RUN_FINISHED` and of `run`. */
export const EXIT = {
  ok: 0,
  internal: 1,
  config: 2,
  failed: 3,
  cancelled: 4,
  waiting: 5,
  sandbox: 6,
} as const

/** Names of errors about wrong usage. They are compared by name, so that no command loads modules it does not use. */
const OF_USAGE = new Set(['PolicyError', 'MockError'])

/** Returns the code of a server that failed. With a full disk, it has failed; a launch has then come to no process. */
export function exitCodeOfServer(error: unknown): number {
  return isCode(error, 'storage_full') ? EXIT.internal : exitCodeOfError(error)
}

export function exitCodeOfError(error: unknown): number {
  if (isCode(error, 'sandbox_failed', 'storage_full')) return EXIT.sandbox
  const isUsage = error instanceof Error && OF_USAGE.has(error.name)
  return isUsage || isCode(error, 'config_invalid', 'no_model_route', 'policy_invalid', 'policy_not_enforced')
    ? EXIT.config
    : EXIT.internal
}
