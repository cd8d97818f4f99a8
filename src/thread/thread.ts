import { randomUUID } from 'node:crypto'
import {
  aggregateTokenUsage,
  EventType,
  type ResumeEntry,
  type RunAgentInput,
  type UserMessage,
} from '@ag-ui/core'
import type { AgentSession, RunEnd } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { parseUserContent } from '../agui/input.ts'
import { inBackground } from '../background.ts'
import { isCode, RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { EventLog } from '../storage/event-log.ts'
import { deliveryOf, isAnswer, knownMessages, runExists, threadBusy } from './admission.ts'
import { openAnswers, owedResults } from './answers.ts'
import { type Cut, RESTARTED, readCutRun } from './cut-run.ts'
import { type KnownMessages, reconcile, toldId, withShown, withTold } from './history.ts'
import type { Oversize } from './oversize.ts'
import type { Queue, QueuedRun, Waiting } from './queue.ts'
import { pendingEvents, queuedEvents } from './queue-events.ts'
import { RoomWait } from './room-wait.ts'
import { Run, type RunLimits, refusedRun } from './run.ts'
import type { ThreadFacts, ThreadTable } from './thread-table.ts'
import type { Accepted, Submitted, ThreadDescription } from './told.ts'

export interface ThreadOptions extends RunLimits {
  threadId: string
  facts: ThreadFacts
  agent: AgentSession
  log: EventLog
  table: ThreadTable
  redactor: Redactor
  oversize: Oversize
  /** Told before anybody else learns that a run has ended. */
  onRunEnding?: (() => void) | undefined
  queue: Queue
  /** Told when a run has ended, its terminal event committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** Told when the log could not be written, with the cause: the runner cannot keep its promise then. */
  onLogFailure(error: unknown): void
}

/** One thread: admits one run at a time. */
export class Thread {
  readonly threadId: string
  readonly #options: ThreadOptions
  readonly #room: RoomWait
  #facts: ThreadFacts
  #run: { run: Run; digests: QueuedRun['digests'] } | undefined
  /** Ends when the last admitted run has, its terminal event committed. */
  #ended: Promise<unknown> = Promise.resolve()
  #isClosed = false
  /** While a run that was cut short is being closed in the log. */
  #closingCut: Promise<void> | undefined
  /** Nothing is written for it any more. */
  #isOver = false

  constructor(options: ThreadOptions) {
    this.threadId = options.threadId
    this.#options = options
    this.#facts = options.facts
    this.#room = new RoomWait(options.log, () => this.next())
  }

  /**
   * Admits a run and starts it, or queues it when the thread is busy and `forwardedProps.delivery` allows. Resolves
   * when RUN_STARTED is in the log, or the queue is stored.
   *
   * @throws {RunnerError} `thread_busy`, `run_exists`, `history_conflict`, `invalid_input`, `queue_full`,
   * `shutting_down`, `storage_full`.
   */
  async submit(input: RunAgentInput): Promise<Submitted> {
    await this.#checkReady()
    this.#checkNew(input)
    const { runId } = input
    const delivery = deliveryOf(input)
    const busy = this.#run?.run.runId
    if (busy !== undefined && delivery === undefined) throw threadBusy(busy)
    this.#options.agent.check(input)
    const resume = this.#answers(input.resume)
    const results = owedResults(input.messages, this.#options.agent)
    const isAnswered = resume.length + results.length > 0
    const known = { ...this.#knownMessages(), isAnswered }
    const { messages, digests, ...behind } = reconcile(input.messages, known)
    const queued = { request: { ...input, messages: [...results, ...messages], resume }, digests }
    if (busy === undefined) return { runId, after: await this.#start(queued), ...behind }
    const after = this.#options.log.head(this.threadId)
    const isSteering = delivery === 'steer' && results.length === 0
    const steered = isSteering ? messages.map((message) => ({ ...message, id: toldId(message.id) })) : []
    const steeredInto = await this.#enqueue(queued, steered)
    if (steeredInto === undefined) return { runId, after, ...behind }
    await this.#options.table.addRun(this.threadId, runId)
    return { runId, after, steeredInto }
  }

  /**
   * Puts a user message into the thread: into the running turn, behind it, or as a run at once when nothing runs.
   *
   * @throws {RunnerError} `invalid_input`, `queue_full`, `shutting_down`, `storage_full`.
   */
  async post(content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    await this.#checkReady()
    const messageId = randomUUID()
    const message = parseUserContent(content, messageId)
    const { messages, digests } = reconcile([message], this.#knownMessages())
    const runId = randomUUID()
    const request = { threadId: this.threadId, runId, messages, tools: [], context: [] }
    this.#answers()
    if (this.#run === undefined) {
      await this.#start({ request, digests })
      return { messageId, delivery: 'run', runId }
    }
    const steeredInto = await this.#enqueue({ request, digests }, delivery === 'steer' ? messages : [])
    if (steeredInto === undefined) return { messageId, delivery: 'queue', runId }
    return { messageId, delivery: 'steer', runId: steeredInto }
  }

  /**
   * What is accepted is kept first. Then it may go into the running turn, with its messages as they will be told there,
   * all or none: what the turn does not take in waits on and is a run of its own. Returns the run that it went into.
   */
  async #enqueue(
    { request, digests }: QueuedRun,
    steered: readonly UserMessage[],
  ): Promise<string | undefined> {
    const { agent, queue, redactor } = this.#options
    const run = this.#run?.run
    const known = withTold(digests, steered, redactor.redactText)
    const waiting = await queue.add({ request, digests: known })
    const isThere = run !== undefined && this.#run?.run === run && queue.has(waiting)
    if (!isThere || steered.length === 0 || !steered.every((message) => agent.steer(message)))
      return undefined
    waiting.isSteered = true
    run.tell(pendingEvents(request.messages))
    return run.runId
  }

  /** Starts the first queued run when nothing runs. */
  next(): void {
    // What a turn has been given it takes in, or it comes here.
    const waiting = this.#options.queue.waiting.find(({ isSteered }) => !isSteered)
    if (waiting === undefined || !this.#isFree || !this.#room.isThere()) return
    const { runId } = waiting
    const work = { name: 'starting a queued run', threadId: this.threadId, runId }
    inBackground(work, this.#startQueued(waiting), (error) => this.#options.onLogFailure(error))
  }

  /** What waits for a person goes first; the queue goes on when it is answered. */
  get #isFree(): boolean {
    return this.#run === undefined && !this.#isClosed && this.#options.agent.interrupts.length === 0
  }

  /** One that cannot be started ends with its reason, and the next has its turn. */
  async #startQueued(waiting: Waiting): Promise<void> {
    const { queue, log, table } = this.#options
    try {
      const queued = await queue.read(waiting)
      if (this.#isFree && queue.has(waiting)) await this.#start(queued, waiting)
    } catch (error) {
      const { runId } = waiting
      // It has begun: its own end tells.
      if (!queue.has(waiting)) throw error
      if (isCode(error, 'storage_full')) return this.#room.later()
      const { threadId } = this
      const events = refusedRun(threadId, runId, error)
      await Promise.all([
        log.append(threadId, runId, events, { durable: true }),
        queue.remove(waiting),
        table.addRun(threadId, runId),
      ])
      this.next()
    }
  }

  /** Stops the running turn; its Claude session goes on. Resolves when the run has ended. */
  async interrupt(): Promise<boolean> {
    if (this.#run === undefined) return false
    this.#run.run.stop()
    await this.#ended
    return true
  }

  /** The sender of this run has left for good: it is stopped, or not begun. Resolves when it has ended. */
  async withdraw(runId: string): Promise<void> {
    if (this.#run?.run.runId === runId) return void (await this.interrupt())
    const { queue } = this.#options
    const waiting = queue.waiting.find((each) => each.runId === runId && !each.isSteered)
    if (waiting !== undefined) await queue.remove(waiting)
  }

  /** The model of later runs; the conversation goes on. Returns the one before. */
  async setModel(model: string): Promise<string | undefined> {
    const { agent, table } = this.#options
    const before = await agent.setModel(model)
    // Deleted meanwhile: what is written now would come back after a restart.
    if (this.#isOver) this.#checkOpen()
    this.#facts = { ...this.#facts, memory: agent.memory, updatedAt: Date.now() }
    await table.put(this.threadId, this.#facts)
    return before
  }

  toolServers(signal: AbortSignal): ReturnType<AgentSession['toolServers']> {
    return this.#options.agent.toolServers(signal)
  }

  stopTask(taskId: string, signal: AbortSignal): Promise<boolean> {
    return this.#options.agent.stopTask(taskId, signal)
  }

  /** Closes in the log what a runner that died left open. Call before any client is served. */
  async recover(): Promise<void> {
    await this.#closeCut(RESTARTED)
  }

  /** Ends in the log the run that was cut short. Without room for that it stays open, until there is. */
  async #closeCut({ code, message }: Cut): Promise<void> {
    const { log, queue, table, agent } = this.#options
    const { openRun, ...facts } = this.#facts
    if (openRun === undefined) return
    const { isOver, closing, taken } = await readCutRun(log, this.threadId, openRun.after)
    for (const id of taken) queue.takeIn(id)
    const end: AguiEvent = { type: EventType.RUN_ERROR, code, message }
    const events = isOver ? [] : [...closing, ...queuedEvents(queue.waiting), end]
    try {
      const written =
        events.length === 0
          ? undefined
          : log.append(this.threadId, openRun.runId, events, { durable: true, isLast: true })
      for (const waiting of queue.waiting) waiting.isSteered = false
      const ended = { lastRunId: openRun.runId, lastOutcome: 'error' as const, updatedAt: Date.now() }
      this.#facts = { ...facts, ...ended, memory: agent.memory }
      await Promise.all([written, queue.forgetTaken(), table.put(this.threadId, this.#facts)])
    } catch (error) {
      if (!isCode(error, 'storage_full')) throw error
    }
  }

  /** The log did not take all of the run. On a full disk that ends the run and nothing else. */
  async #cutShort(runId: string, error: unknown): Promise<void> {
    if (!isCode(error, 'storage_full')) return this.#options.onLogFailure(error)
    const { code, message } = error
    await this.#closeCut(error).catch((failure: unknown) => this.#options.onLogFailure(failure))
    this.#run = undefined
    this.#options.onRunEnded({ threadId: this.threadId, runId, end: { outcome: 'error', code, message } })
    this.next()
  }

  /** Whether nothing ever happened on this thread. */
  get pristine(): boolean {
    return (
      this.#run === undefined &&
      this.#facts.lastOutcome === 'none' &&
      this.#options.queue.waiting.length === 0 &&
      this.#options.log.head(this.threadId) === 0
    )
  }

  /** The last seq before the run that is under way, if one is. */
  get runningAfter(): number | undefined {
    return this.#run === undefined ? undefined : this.#facts.openRun?.after
  }

  warm(): Promise<void> {
    return this.#options.agent.warm()
  }

  describe(): ThreadDescription {
    const { lastOutcome, createdAt, updatedAt } = this.#facts
    const { interrupts } = this.#options.agent
    const ended = interrupts.length > 0 ? 'interrupted' : lastOutcome === 'error' ? 'failed' : 'idle'
    return {
      threadId: this.threadId,
      state: this.#run === undefined ? ended : 'running',
      lastSeq: this.#options.log.head(this.threadId),
      ...(this.#run === undefined ? {} : { runId: this.#run.run.runId }),
      interrupts: this.#options.agent.interrupts,
      queue: this.#options.queue.waiting.map(({ runId, messageIds }) => ({ runId, messageIds })),
      usage: this.#facts.usage,
      createdAt,
      updatedAt,
      ...this.#options.agent.describe(),
    }
  }

  /** Ends the open run as `cancelled` and the agent's process. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#room.close()
    this.#run?.run.stop()
    // How it ended was told.
    await this.#ended.catch(() => undefined)
    await this.#options.agent.close()
    this.#isOver = true
  }

  /** A run that a full disk left open ends before another begins. */
  async #checkReady(): Promise<void> {
    this.#checkOpen()
    this.#options.log.checkRoom()
    if (this.#run !== undefined || this.#facts.openRun === undefined) return
    this.#closingCut ??= this.#closeCut(RESTARTED).finally(() => {
      this.#closingCut = undefined
    })
    await this.#closingCut
    this.#checkOpen()
  }

  #checkOpen(): void {
    if (this.#isClosed)
      throw new RunnerError('shutting_down', 'The runner is stopping, or the thread is being deleted.')
  }

  #answers(resume?: readonly ResumeEntry[]): ResumeEntry[] {
    return openAnswers(resume, { ...this.#options, isRunning: this.#run !== undefined })
  }

  #checkNew(input: RunAgentInput): void {
    const { runId } = input
    const isKnown =
      this.#options.table.hasRun(this.threadId, runId) ||
      this.#run?.run.runId === runId ||
      this.#options.queue.waiting.some((waiting) => waiting.runId === runId)
    const mayBe = this.#run === undefined && this.#facts.lastRunId === runId
    if (isKnown && !(mayBe && isAnswer(input, this.#options.agent))) throw runExists(runId)
  }

  #knownMessages(): KnownMessages {
    return knownMessages(this.#options, { digests: [], ...this.#facts, ...this.#run })
  }

  /**
   * Nothing is awaited before the run is this thread's one run and all of its start is written: either the run is
   * known and in the log, or neither. Returns the last seq before it.
   */
  async #start(queued: QueuedRun, waiting?: Waiting): Promise<number> {
    const { log, agent, table, queue } = this.#options
    const { request } = queued
    const { runId } = request
    const onUserMessage = (id: string): void => {
      const known = queue.takeIn(id)
      if (known !== undefined) digests.push(known)
    }
    const lastWords = (): AguiEvent[] =>
      this.#isParked ? [] : queuedEvents(queue.waiting.filter(({ isSteered }) => isSteered))
    const run = new Run({ ...this.#options, request, onUserMessage, lastWords })
    const digests = withShown(queued.digests, run.shownMessages)
    this.#run = { run, digests }
    const { threadId } = this
    const after = log.head(threadId)
    const ended = run.execute(agent, (end) => this.#settle(end, digests))
    this.#ended = ended.then(
      (end) => this.#options.onRunEnded({ threadId, runId, end }),
      (error: unknown) => this.#cutShort(runId, error),
    )
    inBackground({ name: 'ending a run', threadId, runId }, this.#ended)
    this.#facts = { ...this.#facts, openRun: { runId, after }, updatedAt: Date.now(), memory: agent.memory }
    await Promise.all([
      table.addRun(this.threadId, runId),
      table.put(this.threadId, this.#facts),
      waiting === undefined ? undefined : queue.remove(waiting),
      run.started,
    ])
    return after
  }

  /** Its turn is not over and waits for somebody: it still holds what it was given. */
  get #isParked(): boolean {
    const { interrupts, pendingToolCallIds } = this.#options.agent
    return interrupts.length + pendingToolCallIds.length > 0
  }

  #settle(end: RunEnd, digests: QueuedRun['digests']): void {
    const { table, agent, queue } = this.#options
    const { openRun: closed, ...facts } = this.#facts
    this.#options.onRunEnding?.()
    this.#run = undefined
    this.#facts = {
      ...facts,
      lastRunId: closed?.runId,
      lastOutcome: end.outcome,
      updatedAt: Date.now(),
      usage: aggregateTokenUsage([...facts.usage, ...(end.usage ?? [])]),
      memory: agent.memory,
    }
    const last = digests.at(-1)
    const writes: Promise<unknown>[] = [queue.forgetTaken()]
    if (!this.#isParked) for (const waiting of queue.waiting) waiting.isSteered = false
    // A failed run's messages are forgotten: a client that retries sends the same ones with a new runId.
    if (end.outcome !== 'error' && last !== undefined) {
      this.#facts.lastUserMessageId = last[0]
      writes.push(table.addMessages(this.threadId, digests))
    }
    writes.push(table.put(this.threadId, this.#facts))
    Promise.all(writes).catch((error: unknown) => this.#options.onLogFailure(error))
    this.next()
  }
}
