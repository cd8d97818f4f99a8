import type { RunEnd } from '../agent/agent.ts'
import type { Config } from '../config.ts'
import { isPlatformRun } from '../platform-link/message-run.ts'
import type { Runner } from '../runner/create.ts'
import { EXIT } from './exit.ts'
import { FIRST_RUN_ID, mayHaveStartupPrompt } from './first-prompt.ts'

type State = Awaited<ReturnType<Runner['stateOf']>>

/** The run whose end also ends the process, with STOP_ON_RUN_FINISHED. */
export class AwaitedRun {
  readonly #config: Config
  #which: 'first' | 'platform' | 'any'

  constructor(config: Config, firstPrompt: string | undefined) {
    this.#config = config
    const hasFirst = firstPrompt !== undefined || mayHaveStartupPrompt(config)
    this.#which = hasFirst ? 'first' : this.#others
  }

  /** Whether it is the run of the first prompt. */
  get isFirst(): boolean {
    return this.#which === 'first'
  }

  get #others(): 'platform' | 'any' {
    return this.#config.platformLink === undefined ? 'any' : 'platform'
  }

  /** Notes that there is no first prompt after all. */
  withoutFirst(): void {
    this.#which = this.#others
  }

  /** Returns the exit code when the process ends with this run (contract section 2), and undefined when it goes on. */
  ended(runId: string, end: RunEnd): number | undefined {
    if (!this.#config.stopOnRunFinished) return undefined
    if (this.#which === 'first' && runId !== FIRST_RUN_ID) return undefined
    if (this.#which === 'platform' && !isPlatformRun(runId)) return undefined
    // After an interrupt the answer starts another run, so the end of any run counts from now on.
    this.#which = 'any'
    return exitCodeOf(end, this.#config)
  }

  /** Returns the same when an earlier process has run the first prompt, by the state of its thread. */
  endedBefore(state: State): number | undefined {
    if (!this.#config.stopOnRunFinished) return undefined
    this.#which = 'any'
    return exitCodeOfState(state, this.#config)
  }
}

type Exiting = Pick<Config, 'exitCodes'>

function exitCodeOf(end: RunEnd, { exitCodes }: Exiting): number | undefined {
  if (exitCodes === 'zero') return end.outcome === 'interrupt' ? undefined : EXIT.ok
  switch (end.outcome) {
    case 'success':
      return EXIT.ok
    case 'interrupt':
      return EXIT.waiting
    case 'cancelled':
      return EXIT.cancelled
    case 'error':
      return end.code === 'run_timeout' || end.code === 'run_idle_timeout' ? EXIT.cancelled : EXIT.failed
  }
}

function exitCodeOfState(state: State, { exitCodes }: Exiting): number | undefined {
  if (exitCodes === 'zero') return state === 'interrupted' ? undefined : EXIT.ok
  if (state === 'interrupted') return EXIT.waiting
  return state === 'failed' ? EXIT.failed : EXIT.ok
}
