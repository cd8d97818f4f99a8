import { randomUUID } from 'node:crypto'
import type { UserMessage } from '@ag-ui/core'
import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import type {
  Agent,
  AgentDescription,
  AgentMemory,
  AgentSession,
  RunContext,
  RunEnd,
  RunRequest,
} from '../agui/agent.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { type LaunchOptions, sdkOptions } from './launch.ts'
import { ClaudeProcess } from './process.ts'
import { type Prompt, toPrompt } from './prompt.ts'
import { customEvent, NO_CONVERSATION, Turn, type TurnEnd } from './turn.ts'

export interface ClaudeAgentOptions extends LaunchOptions {
  /** The complete environment of the wrapper. */
  env: Record<string, string>
  /** Marks every process of this runner; the next runner on the same state folder finds leftovers by it. */
  mark: string
  slashCommands: boolean
  processesMax: number
  startTimeoutMs: number
  /** A process that has had no run for this long is stopped; the next run resumes. */
  idleMs: number
  /** How long a turn may take to stop by itself before its process is killed. */
  interruptGraceMs: number
  /** Called before each start; throws when a run could not work, with the reason. */
  beforeStart(): Promise<void>
}

/** Claude Code as the agent of many threads: one warm process per thread, up to `processesMax`. */
export class ClaudeAgent implements Agent {
  readonly options: ClaudeAgentOptions
  readonly #warm = new Set<ClaudeSession>()

  constructor(options: ClaudeAgentOptions) {
    this.options = options
  }

  open(_threadId: string, memory: AgentMemory): ClaudeSession {
    return new ClaudeSession(this, memory)
  }

  /**
   * Makes room for one more process: the one that has been idle longest goes.
   *
   * @throws {RunnerError} `too_many_processes` when every process is at work.
   */
  async claim(session: ClaudeSession): Promise<void> {
    // Set order is claim order, so the first idle one is the least recently used.
    this.#warm.delete(session)
    if (this.#warm.size >= this.options.processesMax) {
      const idle = [...this.#warm].find((other) => !other.busy)
      if (idle === undefined) {
        throw new RunnerError(
          'too_many_processes',
          `CLAUDE_PROCESSES_MAX (${this.options.processesMax}) Claude Code processes are at work; try again when a run has ended.`,
        )
      }
      this.#warm.delete(idle)
      this.#warm.add(session)
      await idle.rest()
    } else this.#warm.add(session)
  }

  release(session: ClaudeSession): void {
    this.#warm.delete(session)
  }
}

/** Door of the stored memory. */
const Memory = z.object({
  claudeSessionId: z.string(),
  /** Prompts were sent under this id, so there is a conversation to resume. */
  begun: z.boolean(),
  /** Turns that came to a result: what would be lost with the session's file. */
  turns: z.number(),
  translator: z.unknown(),
})
type Memory = z.infer<typeof Memory>

class ClaudeSession implements AgentSession {
  readonly #agent: ClaudeAgent
  #memory: Memory
  #process: ClaudeProcess | undefined
  #starting: Promise<ClaudeProcess> | undefined
  #turn: Turn | undefined
  #running = false
  #idleTimer: NodeJS.Timeout | undefined
  #model: string | undefined

  constructor(agent: ClaudeAgent, memory: AgentMemory) {
    this.#agent = agent
    const stored = Memory.safeParse(memory)
    this.#memory = stored.success ? stored.data : freshMemory()
  }

  get memory(): AgentMemory {
    return { ...this.#memory }
  }

  get busy(): boolean {
    return this.#running || this.#starting !== undefined
  }

  describe(): AgentDescription {
    const model = this.#model ?? this.#agent.options.model
    return {
      ...(model === undefined ? {} : { model }),
      claudeSessionId: this.#memory.claudeSessionId,
      warm: this.#process?.running === true,
    }
  }

  steer(message: UserMessage): boolean {
    const claude = this.#process
    if (claude === undefined || this.#turn?.steer(message) !== true) return false
    const { blocks } = toPrompt({ messages: [message], context: [] }, this.#agent.options)
    claude.send(userLine(blocks, message.id))
    return true
  }

  async warm(): Promise<void> {
    const claude = await this.#ensure(this.#memory.begun)
    await claude.ready()
    this.#armIdle()
  }

  async run(request: RunRequest, context: RunContext): Promise<RunEnd> {
    this.#running = true
    clearTimeout(this.#idleTimer)
    const isResumed = this.#begin()
    const prompt = toPrompt(request, this.#agent.options)
    try {
      if (prompt.skipped.length > 0)
        void context.emit([customEvent('content_skipped', { parts: prompt.skipped })])
      const end = await this.#take(prompt, context, isResumed)
      if (end !== NO_CONVERSATION) return end
      return await this.#takeAfresh(prompt, context)
    } catch (error) {
      const code = error instanceof RunnerError ? error.code : 'internal'
      return { outcome: 'error', code, message: toMessage(error) }
    } finally {
      this.#running = false
      this.#armIdle()
    }
  }

  /** Stops the process; the next run resumes its session. */
  async rest(): Promise<void> {
    clearTimeout(this.#idleTimer)
    const starting = this.#starting
    if (starting !== undefined) await starting.catch(() => undefined)
    const claude = this.#process
    this.#process = undefined
    await claude?.close()
    this.#agent.release(this)
  }

  async close(): Promise<void> {
    await this.rest()
  }

  /** The stored session is gone: says so once and goes on with a new one. */
  async #takeAfresh(prompt: Prompt, context: RunContext): Promise<RunEnd> {
    const lost = this.#memory
    await this.rest()
    this.#memory = freshMemory()
    if (lost.turns > 0) {
      const reason =
        'Claude Code has no conversation of this id any more; it starts without what was said before.'
      void context.emit([customEvent('session_reset', { claudeSessionId: lost.claudeSessionId, reason })])
    }
    const end = await this.#take(prompt, context, this.#begin())
    if (end !== NO_CONVERSATION) return end
    return {
      outcome: 'error',
      code: 'claude_protocol',
      message: 'Claude Code says that a new session does not exist.',
    }
  }

  /**
   * Whether there is a conversation to resume; from now on there is. Called before anything is awaited, so that it is
   * stored together with the run's start.
   */
  #begin(): boolean {
    const { begun } = this.#memory
    this.#memory.begun = true
    return begun
  }

  async #take(prompt: Prompt, context: RunContext, isResumed: boolean): Promise<TurnEnd> {
    const turn = new Turn(context, this.#memory.translator)
    this.#turn = turn
    const claude = await this.#ensure(isResumed)
    // Told here and not by the session's own state: the process may have died just now.
    void claude.exited.then((exit) => turn.fail(claude.failureOf(exit)))
    claude.ready().catch((error: unknown) => turn.fail(asRunnerError(error)))
    const stop = (): void => void this.#interrupt(claude, turn)
    context.signal.addEventListener('abort', stop, { once: true })
    if (context.signal.aborted) stop()
    claude.send(userLine(prompt.blocks, randomUUID()))
    try {
      const end = await turn.ended
      this.#remember(turn, end)
      if (turn.hasLeftovers) await this.rest()
      return end
    } finally {
      context.signal.removeEventListener('abort', stop)
      this.#turn = undefined
    }
  }

  #remember(turn: Turn, end: TurnEnd): void {
    if (end === NO_CONVERSATION) return
    const { sessionId, memory, init } = turn.translator
    this.#model = init?.model ?? this.#model
    this.#memory = {
      claudeSessionId: sessionId ?? this.#memory.claudeSessionId,
      begun: true,
      turns: this.#memory.turns + 1,
      translator: memory,
    }
  }

  /** Stops the turn and keeps the session; a process that does not obey within the grace is killed. */
  async #interrupt(claude: ClaudeProcess, turn: Turn): Promise<void> {
    const grace = setTimeout(() => void claude.kill(), this.#agent.options.interruptGraceMs)
    // Before its turn has begun Claude Code has nothing to interrupt, and would then answer the prompt all the same.
    turn.begun
      .then(() => claude.interrupt())
      .catch(() => {
        // It died meanwhile; its exit ends the turn.
      })
    await turn.ended
    clearTimeout(grace)
  }

  async #ensure(isResumed: boolean): Promise<ClaudeProcess> {
    if (this.#process?.running === true) return this.#process
    this.#starting ??= this.#start(isResumed).finally(() => {
      this.#starting = undefined
    })
    return await this.#starting
  }

  async #start(isResumed: boolean): Promise<ClaudeProcess> {
    const { options } = this.#agent
    await options.beforeStart()
    await this.#agent.claim(this)
    const { claudeSessionId } = this.#memory
    const conversation = isResumed ? { resume: claudeSessionId } : { sessionId: claudeSessionId }
    const claude = await ClaudeProcess.start({
      sdk: sdkOptions(options, conversation, options.env),
      mark: `${options.mark}:${randomUUID()}`,
      startTimeoutMs: options.startTimeoutMs,
      onMessage: (message) => this.#turn?.onMessage(message),
    })
    this.#process = claude
    void claude.exited.then(() => this.#onExit(claude))
    return claude
  }

  /** Also clears up after a process that ended by itself: what it had started may live on. */
  async #onExit(claude: ClaudeProcess): Promise<void> {
    if (this.#process === claude) {
      this.#process = undefined
      this.#agent.release(this)
    }
    await claude.close()
  }

  #armIdle(): void {
    clearTimeout(this.#idleTimer)
    this.#idleTimer = setTimeout(() => void this.rest(), this.#agent.options.idleMs).unref()
  }
}

/** The uuid comes back when Claude Code takes the message in. */
function userLine(blocks: Prompt['blocks'], uuid: string): SDKUserMessage {
  const line = { type: 'user', message: { role: 'user', content: blocks }, parent_tool_use_id: null } as const
  return isUuid(uuid) ? { ...line, uuid } : line
}

function isUuid(text: string): text is NonNullable<SDKUserMessage['uuid']> {
  return /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(text)
}

function freshMemory(): Memory {
  return { claudeSessionId: randomUUID(), begun: false, turns: 0, translator: undefined }
}

function asRunnerError(error: unknown): RunnerError {
  return error instanceof RunnerError
    ? error
    : new RunnerError('claude_start_failed', toMessage(error), { cause: error })
}
