import type { Message } from '@ag-ui/core'

/** The run in progress that took another run's messages into its turn. */
export interface Taken {
  steeredInto: string
  /** Other parts of the input that the model is not given, in words. */
  skipped: string[]
}

/** How to read a submitted run: its records after `after`, up to its terminal event. A steered run has none. */
export interface Submitted extends Partial<Taken> {
  runId: string
  after: number
  /** The known part of the sender's history, when it lacks turns of the thread. */
  held?: Message[]
}

/** What happened to a message that was put into a thread. */
export interface Accepted {
  messageId: string
  /** `run`: its own run has started; `queue`: its run will start later; `steer`: the running turn gets it at its next step. */
  delivery: 'run' | 'queue' | 'steer'
  runId?: string
}
