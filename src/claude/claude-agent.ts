import type { Agent, AgentMemory, AgentView } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import { type Lease, Slots } from '../lease.ts'
import { Conversation } from './conversation.ts'
import { lookAt } from './memory.ts'
import type { ClaudeAgentOptions, SlotHolder } from './options.ts'
import { ClaudeBinary, type ClaudeBinaryOptions } from './process/binary.ts'

/** Claude Code as the agent of many threads: one warm process per thread, up to `processesMax`. */
export class ClaudeAgent implements Agent {
  readonly options: ClaudeAgentOptions
  readonly binary: ClaudeBinary
  readonly #slots: Slots<SlotHolder>

  constructor(options: ClaudeAgentOptions) {
    this.options = options
    this.binary = new ClaudeBinary(binaryOptions(options))
    this.#slots = new Slots(options.processesMax)
  }

  open(threadId: string, memory: AgentMemory): Conversation {
    return new Conversation(this, threadId, memory)
  }

  look(memory: AgentMemory): AgentView {
    return lookAt(memory, this.options.model)
  }

  /**
   * Claims a slot for one process. It is held until that process and all that it started have ended. When all slots are
   * held, the process that has been idle longest is stopped. Before the claim this waits until a process
   * could work; that wait ends with `signal`.
   *
   * @throws {RunnerError} `too_many_processes` when every process is at work; another code when no process could work.
   */
  async claim(holder: SlotHolder, signal: AbortSignal): Promise<Lease> {
    const { prepared, beforeStart } = this.options
    await prepared(signal)
    if (!signal.aborted) await beforeStart()
    if (!signal.aborted) await this.binary.check()
    for (;;) {
      const lease = this.#slots.take(holder)
      if (lease !== undefined) return lease
      const [idle] = this.#slots.holders
        .filter(({ busy }) => !busy)
        .sort((one, other) => one.idleSince - other.idleSince)
      if (idle === undefined) {
        throw new RunnerError(
          'too_many_processes',
          `CLAUDE_PROCESSES_MAX (${this.#slots.max}) Claude Code processes are at work; try again when a run has ended.`,
        )
      }
      // Several claims may wait for the same process. The first one takes the slot; the others try again.
      await idle.rest()
    }
  }
}

function binaryOptions({
  executable,
  env,
  workspace,
  mark,
  startTimeoutMs,
  prepareStart,
}: ClaudeAgentOptions): ClaudeBinaryOptions {
  const known = { executable, env, cwd: workspace, mark, startTimeoutMs }
  return prepareStart === undefined ? known : { ...known, prepareStart }
}
