import type { Env } from '../config.ts'

/** The facts of the process that commands use. */
export interface CliContext {
  version: string
  env: Env
  /** The folder of `policy.yaml` and `wrappers/`. */
  appDirectory: string
  workingDirectory: string
  /** Whether stdout is a terminal. */
  isTerminal: boolean
}
