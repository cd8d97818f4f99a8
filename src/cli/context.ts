import type { Env } from '../config.ts'

/** What a command needs of the process it runs in. */
export interface CliContext {
  version: string
  env: Env
  /** Where `policy.yaml` and `wrappers/` lie. */
  appDirectory: string
  workingDirectory: string
  /** Whether a person reads stdout. */
  isTerminal: boolean
}
