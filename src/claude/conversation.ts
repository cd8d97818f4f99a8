import { randomUUID } from 'node:crypto'
import type { Interrupt, ResumeEntry, UserMessage } from '@ag-ui/core'
import type { SDKUserMessage } from '@anthropic-ai/claude-agent-sdk'
import { z } from 'zod'
import type {
  AgentDescription,
  AgentMemory,
  AgentSession,
  RunContext,
  RunEnd,
  RunRequest,
} from '../agui/agent.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { ClaudeAgent } from './agent.ts'
import { Approvals, Asked } from './approvals.ts'
import { readAnswer } from './interrupts.ts'
import { sdkOptions } from './launch.ts'
import { ClaudeProcess } from './process.ts'
import { type Prompt, textBlock, toPrompt } from './prompt.ts'
import { customEvent, NO_CONVERSATION, Turn, type TurnEnd } from './turn.ts'

/** Door of the stored memory. */
const Memory = z.object({
  claudeSessionId: z.string(),
  /** Prompts were sent under this id, so there is a conversation to resume. */
  begun: z.boolean(),
  /** Turns that came to a result: what would be lost with the session's file. */
  turns: z.number(),
  /** Questions that wait for a person. */
  asked: z.array(Asked),
  translator: z.unknown(),
})
type Memory = z.infer<typeof Memory>

/** One thread's Claude session and, while it is warm, the process that holds it. */
export class Conversation implements AgentSession {
  readonly #agent: ClaudeAgent
  #memory: Memory
  #process: ClaudeProcess | undefined
  #starting: Promise<ClaudeProcess> | undefined
  #approvals: Approvals | undefined
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

  get interrupts(): Interrupt[] {
    return this.#memory.asked.map(({ interrupt }) => interrupt)
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
    try {
      const parked = this.#process?.running === true && this.#turn?.isParked === true ? this.#turn : undefined
      if (parked !== undefined) return await this.#goOn(parked, request, context)
      return await this.#runAnew(request, context)
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
    this.#turn = undefined
    await claude?.close()
    this.#agent.release(this)
  }

  async close(): Promise<void> {
    await this.rest()
  }

  /** The answers go to the process that waits for them, and the turn goes on where it stopped. */
  async #goOn(turn: Turn, request: RunRequest, context: RunContext): Promise<RunEnd> {
    for (const message of request.messages) this.steer(message)
    for (const { asked, answer } of this.#approvals?.answer(request.resume) ?? []) {
      if (answer.approved && answer.isEdited) void context.emit([editedEvent(asked, answer.updatedInput)])
    }
    const claude = this.#process
    if (claude === undefined) return await this.#runAnew(request, context)
    const end = await this.#follow(claude, turn, context)
    return end === NO_CONVERSATION
      ? protocolEnd('Claude Code lost its session in the middle of a turn.')
      : end
  }

  async #runAnew(request: RunRequest, context: RunContext): Promise<RunEnd> {
    const isResumed = this.#begin()
    const prompt = toPrompt(request, this.#agent.options)
    if (prompt.skipped.length > 0)
      void context.emit([customEvent('content_skipped', { parts: prompt.skipped })])
    prompt.blocks.unshift(...this.#answersAfterRestart(request.resume))
    const end = await this.#take(prompt, context, isResumed)
    if (end !== NO_CONVERSATION) return end
    return await this.#takeAfresh(prompt, context)
  }

  /**
   * The process that had asked is gone, and with it its question; none of the calls has run. The model is told what
   * the person said; an approved call that it makes again passes, once, and any other is asked for anew.
   */
  #answersAfterRestart(resume: readonly ResumeEntry[]): Prompt['blocks'] {
    const { asked } = this.#memory
    if (asked.length === 0) return []
    this.#memory.asked = []
    const lines = asked.map((question) => {
      const { tool, input, interrupt } = question
      const call = `${tool} ${JSON.stringify(input)}`
      const entry = resume.find(({ interruptId }) => interruptId === interrupt.id)
      if (entry === undefined) return `- ${call}: nobody answered; do not make this call.`
      const answer = readAnswer(question, entry)
      if (!answer.approved) return `- ${call}: refused. ${answer.message}`
      if (interrupt.reason === 'input_required')
        return `- ${call}: answered: ${JSON.stringify(answer.updatedInput)}`
      this.#granted.push({ asked: question, updatedInput: answer.updatedInput })
      return `- ${call}: approved. Make the call now with exactly this input: ${JSON.stringify(answer.updatedInput)}`
    })
    const words =
      'The session was restarted while these tool calls waited for a person; none of them has run. The person has answered:'
    return [textBlock(`${words}\n${lines.join('\n')}`)]
  }

  /** Approved before a restart; handed to the next process. */
  readonly #granted: { asked: Asked; updatedInput: Record<string, unknown> }[] = []

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
    return end === NO_CONVERSATION ? protocolEnd('Claude Code says that a new session does not exist.') : end
  }

  /**
   * Whether there is a conversation to resume; from now on there is. Called before anything is awaited, so that it
   * is stored together with the run's start.
   */
  #begin(): boolean {
    const { begun } = this.#memory
    this.#memory.begun = true
    return begun
  }

  async #take(prompt: Prompt, context: RunContext, isResumed: boolean): Promise<TurnEnd> {
    const claude = await this.#ensure(isResumed)
    const turn = new Turn(this.#memory.translator, () => this.#question())
    this.#turn = turn
    // Told here and not by the session's own state: the process may have died just now.
    void claude.exited.then((exit) => turn.fail(claude.failureOf(exit)))
    claude.ready().catch((error: unknown) => turn.fail(asRunnerError(error)))
    claude.send(userLine(prompt.blocks, randomUUID()))
    return await this.#follow(claude, turn, context)
  }

  /** The turn until its end, or until it waits for a person. */
  async #follow(claude: ClaudeProcess, turn: Turn, context: RunContext): Promise<TurnEnd> {
    const ended = turn.follow(context)
    const stop = (): void => void this.#interrupt(claude, turn, ended)
    context.signal.addEventListener('abort', stop, { once: true })
    if (context.signal.aborted) stop()
    try {
      const end = await ended
      this.#remember(turn, end)
      if (turn.hasLeftovers) await this.rest()
      return end
    } finally {
      context.signal.removeEventListener('abort', stop)
      if (!turn.isParked && this.#turn === turn) this.#turn = undefined
    }
  }

  #remember(turn: Turn, end: TurnEnd): void {
    if (end === NO_CONVERSATION) return
    const { sessionId, memory, init } = turn.translator
    this.#model = init?.model ?? this.#model
    this.#memory = {
      claudeSessionId: sessionId ?? this.#memory.claudeSessionId,
      begun: true,
      turns: this.#memory.turns + (turn.isParked ? 0 : 1),
      asked: turn.isParked ? (this.#approvals?.waiting ?? []) : [],
      translator: memory,
    }
  }

  #question(): RunEnd | undefined {
    const waiting = this.#approvals?.waiting ?? []
    return waiting.length === 0
      ? undefined
      : { outcome: 'interrupt', interrupts: waiting.map(({ interrupt }) => interrupt) }
  }

  /** Stops the turn and keeps the session; a process that does not obey within the grace is killed. */
  async #interrupt(claude: ClaudeProcess, turn: Turn, ended: Promise<unknown>): Promise<void> {
    const grace = setTimeout(() => void claude.kill(), this.#agent.options.interruptGraceMs)
    // Before its turn has begun Claude Code has nothing to interrupt, and would then answer the prompt all the same.
    turn.begun
      .then(() => claude.interrupt())
      .catch(() => {
        // It died meanwhile; its exit ends the turn.
      })
    await ended
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
    const approvals = new Approvals({
      expiresMs: options.interruptExpiresMs,
      toolCallId: (toolUseId) => this.#turn?.translator.toolCallId(toolUseId) ?? toolUseId,
      onChange: () => this.#turn?.considerParking(),
    })
    for (const { asked, updatedInput } of this.#granted.splice(0)) approvals.grant(asked, updatedInput)
    const claude = await ClaudeProcess.start({
      sdk: sdkOptions(options, { conversation, env: options.env, canUseTool: approvals.canUseTool }),
      mark: `${options.mark}:${randomUUID()}`,
      startTimeoutMs: options.startTimeoutMs,
      onMessage: (message) => this.#turn?.onMessage(message),
    })
    this.#approvals = approvals
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

/** The streamed arguments were the model's; this says what runs instead. */
function editedEvent({ interrupt }: Asked, args: Record<string, unknown>) {
  return customEvent('tool_call_edited', { toolCallId: interrupt.toolCallId, args })
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
  return { claudeSessionId: randomUUID(), begun: false, turns: 0, asked: [], translator: undefined }
}

function protocolEnd(message: string): RunEnd {
  return { outcome: 'error', code: 'claude_protocol', message }
}

function asRunnerError(error: unknown): RunnerError {
  return error instanceof RunnerError
    ? error
    : new RunnerError('claude_start_failed', toMessage(error), { cause: error })
}
