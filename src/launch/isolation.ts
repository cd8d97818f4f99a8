import type { Launcher } from './arguments.ts'
import type { LaunchPlan } from './plan.ts'

export interface PlaceRequest {
  plan: LaunchPlan
  launcher: Launcher
  /** Of the run, for what only the start needs. */
  folder: string
}

/** What plans are started in: an engine's containers, or namespaces of this machine. */
export interface Isolation {
  readonly kind: 'container' | 'process'
  /** What a plan is started from; undefined: this machine's own programs. */
  readonly image: string | undefined
  /** @throws {RunnerError} `config_invalid` when that is not here and cannot be had. */
  need(signal: AbortSignal): Promise<void>
  /** Nothing is started yet. */
  place(request: PlaceRequest): Place
}

/** One plan, started. */
export interface Place {
  /** The commands of `start`. Pure. */
  readonly commands: readonly (readonly string[])[]
  /** @throws {RunnerError} `sandbox_failed`; what was made by then is removed by `remove`. */
  start(): Promise<void>
  /** Why it has ended by itself; undefined when the signal came first. */
  ended(signal: AbortSignal): Promise<string | undefined>
  /** The last lines of what it said. */
  logs(): Promise<string>
  /** By SIGTERM, and after that time by force. */
  stop(graceSeconds: number): Promise<void>
  kill(): Promise<void>
  /** Leaves nothing of it. */
  remove(): Promise<void>
}
