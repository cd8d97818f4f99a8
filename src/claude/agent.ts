import type { Agent, AgentMemory } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import { type Lease, Slots } from '../lease.ts'
import { Conversation } from './conversation.ts'
import type { LaunchOptions } from './launch/launch.ts'
import type { Place } from './launch/place.ts'
import { ClaudeBinary } from './process/binary.ts'
import type { ClaudeProcessOptions } from './process/process.ts'

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
  /** A process that has had no run for this long is stopped; the next run resumes. */
  idleMs: number
  /** How long a turn may take to stop by itself before its process is killed. */
  interruptGraceMs: number
  /** When set, an approval that comes later counts as a refusal; 0 for never. */
  interruptExpiresMs: number
  /** Starts the wrapper's process; undefined for an ordinary one. */
  spawn?: ClaudeProcessOptions['spawn']
  /** Where the next run works. `stay`: a directory that a conversation cannot leave, taken while it is there. */
  place(stay: string | undefined): Promise<Place>
  /** What every run waits for; also resolves when `signal` is aborted. */
  prepared(signal: AbortSignal): Promise<void>
  /** Called before each start; throws when a run could not work, with the reason. */
  beforeStart(): Promise<void>
}

/** Claude Code as the agent of many threads: one warm process per thread, up to `processesMax`. */
export class ClaudeAgent implements Agent {
  readonly options: ClaudeAgentOptions
  readonly binary: ClaudeBinary
  readonly #slots: Slots<Conversation>

  constructor(options: ClaudeAgentOptions) {
    this.options = options
    this.binary = new ClaudeBinary({ ...options, cwd: options.workspace })
    this.#slots = new Slots(options.processesMax)
  }

  open(threadId: string, memory: AgentMemory): Conversation {
    return new Conversation(this, threadId, memory)
  }

  /**
   * A slot for one process, to be held until that process and all that it started are gone. When all are held, the
   * one that is idle longest goes.
   *
   * @throws {RunnerError} `too_many_processes` when every process is at work.
   */
  async claim(session: Conversation): Promise<Lease> {
    for (;;) {
      const lease = this.#slots.take(session)
      if (lease !== undefined) return lease
      const idle = this.#slots.holders.find((other) => !other.busy)
      if (idle === undefined) {
        throw new RunnerError(
          'too_many_processes',
          `CLAUDE_PROCESSES_MAX (${this.#slots.max}) Claude Code processes are at work; try again when a run has ended.`,
        )
      }
      // Whoever comes first behind it has the slot: others may wait for the same one.
      await idle.rest()
    }
  }
}
