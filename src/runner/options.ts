import type { RunEnd } from '../agent/agent.ts'
import type { Config, Env } from '../config.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { StateFolder } from './state-folder.ts'

export interface RunnerOptions {
  config: Config
  version: string
  /** What the model route is found in and Claude Code's environment is taken from. */
  env: Env
  logger: Logger
  stateFolder: StateFolder
  /** Where `env` has its credentials from, when that is a file; undefined when the environment itself has them. */
  credentialFile?: string | undefined
  /** Variables of `env` that the agent has beside those of its route. */
  alsoPass?: readonly string[]
  /** What is to be run first, when the process was started with something. */
  firstPrompt?: string | undefined
  /** The route leads to our own mock: nothing real is behind it. */
  isMock: boolean
  /** A part of the runner is open; what it throws ends the start, as a failure of the next part would. */
  onOpened?(part: string): void
  /** A run has ended, its terminal event committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** The log cannot be written: nothing more can be promised. */
  onFatal(error: unknown): void
}
