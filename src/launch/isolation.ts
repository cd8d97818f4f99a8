import type { Launcher } from './arguments.ts'
import type { LaunchPlan } from './plan.ts'

export interface PlaceRequest {
  plan: LaunchPlan
  launcher: Launcher
  /** The run's folder, for files that only the start needs. */
  folder: string
}

/** A way to start plans: an engine's containers, or namespaces of this machine. */
export interface Isolation {
  readonly kind: 'container' | 'process'
  /** The image of a plan; undefined for this machine's own programs. */
  readonly image: string | undefined
  /** @throws {RunnerError} `config_invalid` when the image is absent and cannot be pulled. */
  need(signal: AbortSignal): Promise<void>
  /** Creates the place of a plan. Nothing is started yet. */
  place(request: PlaceRequest): Place
}

/** One plan, started. */
export interface Place {
  /** The commands of `start`, for `--dry-run`. */
  readonly commands: readonly (readonly string[])[]
  /** @throws {RunnerError} `sandbox_failed`. Call `remove` for the parts that were made by then. */
  start(): Promise<void>
  /** Resolves with the reason when it ends by itself, or undefined when the signal came first. */
  ended(signal: AbortSignal): Promise<string | undefined>
  /** Returns the last lines of its output. */
  logs(): Promise<string>
  /** Stops it by SIGTERM, and by force after the grace. */
  stop(graceSeconds: number): Promise<void>
  kill(): Promise<void>
  /** Removes every part of it. */
  remove(): Promise<void>
}
