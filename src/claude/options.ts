import type { Lease } from '../lease.ts'
import type { ClaudePlace } from './launch/place.ts'
import type { LaunchOptions } from './launch/sdk-options.ts'
import type { ClaudeProcessOptions } from './process/process.ts'
import type { TranscriptStore } from './session-mirror.ts'
import type { Inside } from './task-output.ts'

export interface ClaudeAgentOptions extends LaunchOptions {
  /** The complete environment of the wrapper. */
  env: Record<string, string>
  workspace: string
  /** Mark of every process of this runner. The next runner on the same state folder finds leftovers by it. */
  mark: string
  slashCommands: boolean
  processesMax: number
  startTimeoutMs: number
  /** Time that Claude Code has to answer a control request before it counts as hung. */
  controlTimeoutMs: number
  /** Time that Claude Code has for each step of its end: end of input, SIGTERM, SIGKILL. */
  stopStepMs: number
  /** Time without a run after which a process is stopped. The next run resumes its session. */
  idleMs: number
  /** Time that a turn has to stop by itself before its process is killed. */
  interruptGraceMs: number
  /** Time after which an approval counts as a refusal; 0 for never. */
  interruptExpiresMs: number
  /** Claude Code's user id and temporary folder where its environment does not decide them. */
  inside: Inside | undefined
  /** Called before each start of the wrapper; returns what starts it. Undefined for an ordinary process. */
  prepareStart?: ClaudeProcessOptions['prepareStart']
  /** Called when a run has ended. Ends the processes that its commands left running where those may not continue. */
  endLeftovers?: ClaudeProcessOptions['endLeftovers']
  /** Returns the place of the next run. `stay` is a directory that the conversation cannot leave while it exists. */
  place(stay: string | undefined): Promise<ClaudePlace>
  /** Resolves when the workspace is set up, which every run waits for. Also resolves when `signal` is aborted. */
  prepared(signal: AbortSignal): Promise<void>
  /** The store that sessions are mirrored to; undefined when no other machine could continue them. */
  transcripts: TranscriptStore | undefined
  /** Id of this workspace among those of other runners; undefined when there are no others. */
  workspaceId: string | undefined
  /** Called before each start. Throws the reason when a run could not work. */
  beforeStart(): Promise<void>
}

/** The part of a conversation by which one is chosen to give up its slot. */
export interface SlotHolder {
  readonly busy: boolean
  /** When its last work ended, in milliseconds of `performance.now()`. */
  readonly idleSince: number
  /** Ends the process. Resolves when its slot is free. */
  rest(): Promise<void>
}

/** The owner of many conversations, with their settings and their slots. */
export interface Owner {
  readonly options: ClaudeAgentOptions
  /**
   * Claims a slot for one process of the conversation.
   *
   * @throws {RunnerError} when no process could work, or every slot's process is at work.
   */
  claim(conversation: SlotHolder, signal: AbortSignal): Promise<Lease>
}
