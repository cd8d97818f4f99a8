import { randomUUID } from 'node:crypto'
import type { Interrupt, RunAgentInput, UserMessage } from '@ag-ui/core'
import type {
  AgentDescription,
  AgentMemory,
  AgentSession,
  RunContext,
  RunEnd,
  RunRequest,
  Surroundings,
  TaskOutput,
  ToolServer,
} from '../agent/agent.ts'
import { ownEvent } from '../agui/own-events.ts'
import { inBackground } from '../background.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { checkInput } from './check-input.ts'
import { owedIds } from './host/client-tools.ts'
import { approvalWords, type Grant } from './host/questions.ts'
import { moved, otherOrigin } from './launch/place.ts'
import { parseSwitches, type Switches } from './launch/switches.ts'
import { freshMemory, type Memory, parseMemory } from './memory.ts'
import type { Owner } from './options.ts'
import type { ClaudeProcess } from './process/process.ts'
import { isOwed, leftOpen, resultsOf, skippedParts, withBrought } from './restart.ts'
import { failWithProcess, stopTurn } from './stop-turn.ts'
import { backAt, GONE, isRejected, LEFT, memoryAfter, pointOf } from './taken-back.ts'
import { openTaskOutput, taskOutputPlaces } from './task-output.ts'
import {
  furtherPrompt,
  hasState,
  needsOwnTurn,
  type Prompt,
  steerPrompt,
  toPrompt,
  userLine,
} from './translate/prompt.ts'
import { emitUnawaited, protocolEnd, type Steered, Turn } from './turn.ts'
import { NO_CONVERSATION, type TurnEnd } from './turn-end.ts'
import { setSwitches, setTrace, type Warm } from './warm.ts'
import { WarmProcess } from './warm-process.ts'

/** One thread's Claude session and, while it is warm, the process that holds it. */
export class Conversation implements AgentSession {
  readonly agentName = 'Claude Code'
  readonly #agent: Owner
  readonly #threadId: string
  #memory: Memory
  readonly #process: WarmProcess
  #turn: Turn | undefined
  #run: { runId: string; begun: Promise<void> } | undefined
  #seenModel: string | undefined
  #isWarned = false
  /** Whether the process still remembers the part that the conversation was taken back from. */
  #isAhead = false
  /** Whether the last turn ran a tool. */
  #hasRunTools = false
  /** Accepted answers to questions of a process that has ended. The process of the next run gets them. */
  #grants: Grant[] = []

  constructor(agent: Owner, threadId: string, memory: AgentMemory) {
    this.#agent = agent
    this.#threadId = threadId
    // A killed runner may have sent something that no memory holds.
    this.#memory = { ...parseMemory(memory), isUnproven: true }
    this.#process = new WarmProcess({
      agent,
      holder: this,
      threadId,
      memory: () => this.#memory,
      turn: () => this.#turn,
      onLeave: () => {
        this.#turn = undefined
      },
      begun: () => this.#run?.begun ?? Promise.resolve(),
      observed: () => this.#observed,
    })
  }

  get #warm(): Warm | undefined {
    return this.#process.current
  }

  /**
   * `begun` is always true, because this is stored ahead of a run that a kill may cut. The session may exist then, and
   * trying to resume it costs one start. For the same reason the workspace is always named.
   */
  get memory(): AgentMemory {
    const origin = { workspace: this.#agent.options.workspaceId, ...this.#memory.origin }
    return { ...this.#memory, begun: true, origin }
  }
  memoryAhead(request: RunRequest): AgentMemory {
    return { ...this.memory, calls: withBrought(this.#memory.calls, resultsOf(request)) }
  }
  get interrupts(): Interrupt[] {
    return this.#memory.asked.map(({ interrupt }) => interrupt)
  }
  get pendingToolCallIds(): string[] {
    return owedIds(this.#memory.calls)
  }
  get point(): string | undefined {
    return pointOf(this.#memory)
  }
  get busy(): boolean {
    return this.#run !== undefined || this.#process.isStarting
  }
  get idleSince(): number {
    return this.#process.idleSince
  }

  takeBack(point: string): (() => void) | undefined {
    const [memory, turn, isAhead] = [this.#memory, this.#turn, this.#isAhead]
    const back = backAt(memory, point)
    if (back === undefined) return undefined
    ;[this.#memory, this.#turn, this.#isAhead] = [back, undefined, true]
    return () => {
      ;[this.#memory, this.#turn, this.#isAhead] = [memory, turn, isAhead]
    }
  }

  check(input: RunAgentInput, { isSteering }: { isSteering: boolean }): void {
    this.#switches(input.forwardedProps)
    checkInput(input, { asked: this.#memory.asked, turn: this.#turn, isSteering })
  }

  describe(): AgentDescription {
    const model = this.#memory.model ?? this.#seenModel ?? this.#agent.options.model
    return {
      ...(model === undefined ? {} : { model }),
      agentSessionId: this.#memory.claudeSessionId,
      warm: this.#warm !== undefined,
    }
  }

  async setModel(model: string): Promise<string | undefined> {
    const before = this.describe().model
    // The next run sets it in the process, so that this call does not wait for a hung process.
    this.#memory.model = model
    return before
  }

  steer(messages: readonly UserMessage[], run: Surroundings): string[] | undefined {
    const turn = this.#turn
    if (turn === undefined || messages.some(needsOwnTurn)) return undefined
    const skipped = new Set<string>()
    for (const message of messages) {
      const prompt = steerPrompt(message, run, { ...this.#agent.options, turn })
      if (!this.#give(prompt, { ...message, isShown: false })) return undefined
      for (const part of prompt.skipped) skipped.add(part)
    }
    const parts = [...skipped]
    if (parts.length > 0) turn.emit([ownEvent('content_skipped', { parts })])
    return parts
  }

  #give({ blocks, surroundings }: Prompt, message: Steered): boolean {
    // A new id, because Claude Code reports on the message by it and accepts only a UUID.
    const uuid = randomUUID()
    if (this.#warm === undefined || this.#turn?.steer(uuid, message) !== true) return false
    this.#turn.give(blocks)
    this.#turn.surroundings = surroundings
    this.#warm.claude.send(userLine(blocks, uuid))
    return true
  }

  async warm(): Promise<void> {
    const needs = { isResumed: this.#memory.begun, switches: this.#switches(), tools: [], hasState: false }
    const { claude } = await this.#process.ensure(needs)
    await claude.ready()
    if (!this.busy) this.#process.idle()
  }

  async run(request: RunRequest, context: RunContext): Promise<RunEnd> {
    this.#run = { runId: request.runId, begun: context.begun }
    this.#process.use()
    try {
      // Answers take effect at once, and ending a process loses its memory: both must wait for the commit.
      if (this.#isAhead || isOwed(this.#memory)) await context.begun
      if (this.#isAhead) await this.rest()
      this.#isAhead = false
      const [turn, warm] = [this.#turn, this.#warm]
      const parts = skippedParts(request, { ...this.#agent.options, turn })
      if (parts.length > 0) emitUnawaited(context, [ownEvent('content_skipped', { parts })])
      if (warm !== undefined && turn?.isParked === true)
        return await this.#goOn(warm, { turn, request, context })
      return await this.#runAnew(request, context)
    } catch (error) {
      if (context.signal.aborted) return { outcome: 'cancelled' }
      const code = error instanceof RunnerError ? error.code : 'internal'
      return { outcome: 'error', code, message: toMessage(error) }
    } finally {
      await this.#warm?.claude.endLeftovers()
      this.#run = undefined
      this.#process.idle()
    }
  }

  async toolServers(signal: AbortSignal): Promise<ToolServer[] | undefined> {
    return await this.#warm?.claude.toolServers(signal)
  }

  async stopTask(taskId: string, signal: AbortSignal): Promise<boolean> {
    const warm = this.#warm
    await warm?.claude.stopTask(taskId, signal)
    return warm !== undefined
  }

  taskOutput(taskId: string): Promise<TaskOutput> {
    const { claudeSessionId } = this.#memory
    return openTaskOutput(taskOutputPlaces(this.#agent.options), { taskId, claudeSessionId })
  }

  /** Stops the process; the next run resumes its session. Resolves when all of it has ended and its slot is free. */
  rest(): Promise<void> {
    return this.#process.rest()
  }

  close(): Promise<void> {
    return this.#process.close()
  }

  /** Gives the answers to the process that waits for them. The turn continues where it stopped. */
  async #goOn(warm: Warm, run: { turn: Turn; request: RunRequest; context: RunContext }): Promise<RunEnd> {
    const { turn, request, context } = run
    await setTrace(warm, request.trace, { observed: this.#observed, signal: context.signal })
    const words = approvalWords(warm.host.waiting, request.resume ?? [])
    const further = furtherPrompt(request, { ...this.#agent.options, turn, words })
    if (further !== undefined) this.#give(further, { id: request.runId, content: '', isShown: true })
    emitUnawaited(context, warm.host.respond(request.resume ?? []))
    warm.host.answer(resultsOf(request), { isLast: request.messages.some(({ role }) => role === 'user') })
    const end = await this.#follow(warm, turn, context)
    return end === NO_CONVERSATION ? protocolEnd('Claude Code lost its session within a turn.') : end
  }

  async #runAnew(request: RunRequest, context: RunContext): Promise<RunEnd> {
    const { isUnproven } = this.#memory
    const isResumed = this.#begin()
    const prompt = toPrompt(request, this.#agent.options)
    const left = leftOpen(this.#memory, request, prompt)
    if ('memory' in left) {
      this.#memory = left.memory
      return { outcome: 'success', pendingToolCallIds: left.pendingToolCallIds }
    }
    emitUnawaited(context, left.events)
    // The memory keeps the questions open until a process has got the answers: the start may fail.
    prompt.blocks.unshift(...left.blocks)
    this.#grants = left.grants
    const end = await this.#takeOn(prompt, { request, context, isResumed })
    // The model may have refused what an unfinished run left in the session, and not this prompt. A new session holds
    // nothing else, and after a tool call the model has accepted what was left.
    if (!isResumed || !isUnproven || !isRejected(end) || this.#hasRunTools) return end
    emitUnawaited(context, [
      ownEvent('session_reset', { claudeSessionId: this.#memory.claudeSessionId, reason: LEFT }),
    ])
    return await this.#takeOn(prompt, { request, context, isResumed: this.#begin() })
  }

  /** Continues the session in the directory where it is found, or starts a new one when it is found nowhere. */
  async #takeOn(
    prompt: Prompt,
    run: { request: RunRequest; context: RunContext; isResumed: boolean },
  ): Promise<RunEnd> {
    let end = await this.#take(prompt, run)
    if (end === NO_CONVERSATION && (await this.#returnToOrigin())) end = await this.#take(prompt, run)
    return end === NO_CONVERSATION ? await this.#takeAfresh(prompt, run.request, run.context) : end
  }

  /**
   * Moves the conversation to the directory in which it began, because an older Claude Code finds a session only there.
   * Returns `false` when that is the current directory or was tried already.
   */
  async #returnToOrigin(): Promise<boolean> {
    const staysIn = otherOrigin(this.#memory.origin, await this.#process.place())
    if (staysIn === undefined) return false
    await this.rest()
    this.#memory.origin = { ...this.#memory.origin, staysIn }
    return true
  }

  /** Reports once that the stored session is missing, and continues with a new session. */
  async #takeAfresh(prompt: Prompt, request: RunRequest, context: RunContext): Promise<RunEnd> {
    const lost = this.#memory
    await this.rest()
    this.#memory = freshMemory(lost.model)
    if (lost.turns > 0) {
      emitUnawaited(context, [
        ownEvent('session_reset', { claudeSessionId: lost.claudeSessionId, reason: GONE }),
      ])
    }
    const end = await this.#take(prompt, { request, context, isResumed: this.#begin() })
    return end === NO_CONVERSATION ? protocolEnd('Claude Code says that a new session does not exist.') : end
  }

  /**
   * Returns whether there is a conversation to resume, and notes that there is one from now on. Called before anything
   * is awaited, so that the note is stored together with the run's start.
   */
  #begin(): boolean {
    const { begun } = this.#memory
    this.#memory.begun = true
    this.#memory.isUnproven = true
    return begun
  }

  async #take(
    prompt: Prompt,
    run: { request: RunRequest; context: RunContext; isResumed: boolean },
  ): Promise<TurnEnd> {
    const { request, context, isResumed } = run
    const switches = this.#switches(request.forwardedProps)
    const { tools, trace } = request
    const needs = { isResumed, switches, tools, hasState: hasState(request.state), trace }
    await this.#agent.options.prepared(context.signal)
    if (context.signal.aborted) return { outcome: 'cancelled' }
    const warm = await this.#process.ensure(needs, context.signal)
    const { claude, host, mcp, place } = warm
    for (const grant of this.#grants) host.grant(grant)
    const known = this.#isWarned ? [] : place.problems
    const problems = [...known, ...moved(this.#memory, this.#agent.options, place)]
    this.#isWarned = true
    if (problems.length > 0) emitUnawaited(context, [ownEvent('workspace_problems', { problems })])
    const turn = new Turn({
      memory: this.#memory.translator,
      clientToolPrefix: host.clientTools.prefix,
      switches,
      surroundings: prompt.surroundings,
      tools: request.tools,
      question: () => host.end(),
    })
    turn.give(prompt.blocks)
    this.#turn = turn
    this.#inBackground('ending a run with its process', failWithProcess(turn, claude))
    await setSwitches(warm, switches, context.signal)
    await setTrace(warm, trace, { observed: this.#observed, signal: context.signal })
    await mcp.retry(claude, context.signal)
    // Claude Code calls the gate for every prompt except slash commands. With these the prompt waits here.
    if (this.#agent.options.slashCommands) await context.begun
    claude.send(userLine(prompt.blocks, randomUUID()))
    mcp.watch(claude, turn, context.signal)
    return await this.#follow(warm, turn, context)
  }

  /** Follows the turn until it ends or waits for somebody. */
  async #follow({ claude, host }: Warm, turn: Turn, context: RunContext): Promise<TurnEnd> {
    const ended = turn.follow(context)
    const stop = (): void => this.#stop(claude, turn, ended)
    context.signal.addEventListener('abort', stop, { once: true })
    if (context.signal.aborted) stop()
    try {
      const end = await ended
      this.#hasRunTools = turn.hasRunTools
      if (end !== NO_CONVERSATION) this.#memory = memoryAfter(this.#memory, end, { turn, host })
      this.#seenModel = turn.translator.init?.model ?? this.#seenModel
      // The process still remembers the part that the conversation is taken back from.
      if (turn.hasLeftovers || isRejected(end)) await this.rest()
      return end
    } finally {
      context.signal.removeEventListener('abort', stop)
      if (!turn.isParked && this.#turn === turn) this.#turn = undefined
    }
  }

  #stop(claude: ClaudeProcess, turn: Turn, ended: Promise<unknown>): void {
    const kill = (): void => this.#inBackground('killing Claude Code', claude.kill())
    const stopped = stopTurn({ claude, turn, ended, kill, graceMs: this.#agent.options.interruptGraceMs })
    this.#inBackground('stopping a run', stopped)
  }

  #switches(forwardedProps?: unknown): Switches {
    const { options } = this.#agent
    return parseSwitches(forwardedProps, { ...options, model: this.#memory.model ?? options.model })
  }

  get #observed(): { threadId: string; runId?: string } {
    return { threadId: this.#threadId, ...(this.#run === undefined ? {} : { runId: this.#run.runId }) }
  }

  #inBackground(name: string, work: Promise<unknown>): void {
    inBackground({ name, ...this.#observed }, work)
  }
}
