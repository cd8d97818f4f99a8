import type { RunEnd } from '../agent/agent.ts'
import type { Config, Env } from '../config.ts'
import type { Listener } from '../http/listener.ts'
import type { Logger } from '../telemetry/logger.ts'
import type { StateFolder } from './state-folder.ts'

export interface RunnerOptions {
  config: Config
  /** It listens already. The runner takes it over, and closes it. */
  listener: Listener
  version: string
  /** The environment that names the model route, and that Claude Code's environment is taken from. */
  env: Env
  logger: Logger
  stateFolder: StateFolder
  /** The file that the credentials of `env` came from; undefined when they came with the environment. */
  credentialFile?: string | undefined
  /** Names of variables of `env` that the agent gets beside those of its route. */
  alsoPass?: readonly string[]
  /** The first prompt, when the process was started with one. */
  firstPrompt?: string | undefined
  /** Whether the route leads to the runner's own mock, with no real model behind it. */
  isMock: boolean
  /** Called when a part of the runner is open. An error that it throws ends the start. */
  onOpened?(part: string): void
  /** Called when a run has ended and its terminal event is committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** Called when the log cannot be written. The runner can no longer keep its promises and must stop. */
  onFatal(error: unknown): void
}
