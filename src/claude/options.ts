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
  /** Marks every process of this runner; the next runner on the same state folder finds leftovers by it. */
  mark: string
  slashCommands: boolean
  processesMax: number
  startTimeoutMs: number
  /** How long Claude Code may take to answer a control request before it counts as hung. */
  controlTimeoutMs: number
  /** How long it has at each step of its end: end of input, SIGTERM, SIGKILL. */
  stopStepMs: number
  /** A process that has had no run for this long is stopped; the next run resumes. */
  idleMs: number
  /** How long a turn may take to stop by itself before its process is killed. */
  interruptGraceMs: number
  /** When set, an approval that comes later counts as a refusal; 0 for never. */
  interruptExpiresMs: number
  /** Who Claude Code is and its temporary folder, where those are not what its environment says. */
  inside: Inside | undefined
  /** Called before each start of the wrapper, for what then starts it; undefined for an ordinary process. */
  prepareStart?: ClaudeProcessOptions['prepareStart']
  /** When a run has ended: ends what its commands left running, where that may not go on. */
  endLeftovers?: ClaudeProcessOptions['endLeftovers']
  /** Where the next run works. `stay`: a directory that a conversation cannot leave, taken while it is there. */
  place(stay: string | undefined): Promise<ClaudePlace>
  /** What every run waits for; also resolves when `signal` is aborted. */
  prepared(signal: AbortSignal): Promise<void>
  /** Where sessions are mirrored; undefined when no other machine could go on with them. */
  transcripts: TranscriptStore | undefined
  /** Of the workspace, among those of other runners; undefined when there are none. */
  workspaceId: string | undefined
  /** Called before each start; throws when a run could not work, with the reason. */
  beforeStart(): Promise<void>
}

/** What of a conversation decides who gives its slot to another. */
export interface SlotHolder {
  readonly busy: boolean
  /** Ends the process; resolves when its slot is free. */
  rest(): Promise<void>
}

/** What has many conversations: their settings and their slots. */
export interface Owner {
  readonly options: ClaudeAgentOptions
  /**
   * A slot for one process of the conversation.
   *
   * @throws {RunnerError} when no process could work, or all slots are at work.
   */
  claim(conversation: SlotHolder, signal: AbortSignal): Promise<Lease>
}
