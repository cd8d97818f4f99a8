import { randomUUID } from 'node:crypto'
import {
  aggregateTokenUsage,
  contentToText,
  EventType,
  type Interrupt,
  type Message,
  type ResumeEntry,
  type RunAgentInput,
  type TokenUsage,
  type UserMessage,
} from '@ag-ui/core'
import { z } from 'zod'
import type { AgentDescription, AgentSession, RunEnd } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import { parseUserContent } from '../agui/input.ts'
import { RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { EventLog } from '../storage/event-log.ts'
import { restoreAnswer } from './answers.ts'
import { type KnownMessages, reconcile, toldId, withShown } from './history.ts'
import type { Oversize } from './oversize.ts'
import { Run, type RunLimits } from './run.ts'
import type { QueuedRun, ThreadFacts, Threads } from './threads.ts'

export interface SessionOptions extends RunLimits {
  threadId: string
  facts: ThreadFacts
  agent: AgentSession
  log: EventLog
  threads: Threads
  redactor: Redactor
  oversize: Oversize
  queueMax: number
  /** Told before anybody else learns that a run has ended. */
  onRunEnding?: (() => void) | undefined
  /** Told when a run has ended, its terminal event committed. */
  onRunEnded(run: { threadId: string; runId: string; end: RunEnd }): void
  /** Told when the log could not be written, with the cause: the runner cannot keep its promise then. */
  onLogFailure(error: unknown): void
}

export type SessionState = 'idle' | 'running' | 'interrupted' | 'failed'

export interface SessionDescription extends AgentDescription {
  threadId: string
  state: SessionState
  lastSeq: number
  runId?: string
  /** What waits for a person. */
  interrupts: readonly Interrupt[]
  /** Runs that wait. */
  queue: { runId: string; messageIds: string[] }[]
  /** All runs together, one entry per provider and model. */
  usage: TokenUsage[]
  createdAt: number
  updatedAt: number
}

/** What a submitted run is read by: the run's own records behind `after`, up to its terminal event. */
export interface Submitted {
  runId: string
  after: number
  /** The run under way that took the messages in its turn; this one then has no records of its own. */
  steeredInto?: string
}

/** What became of a message that was put into a thread. */
export interface Accepted {
  messageId: string
  /** `run`: a run of its own has started; `queue`: it will; `steer`: the running turn gets it at its next step. */
  delivery: 'run' | 'queue' | 'steer'
  runId?: string
}

const Delivery = z.object({ delivery: z.enum(['queue', 'steer']).optional() }).catch({})

/** One thread: admits one run at a time. */
export class Session {
  readonly threadId: string
  readonly #options: SessionOptions
  #facts: ThreadFacts
  #run: { run: Run; digests: QueuedRun['digests'] } | undefined
  /** Digests of the messages that were sent into the run under way; remembered when they are taken in. */
  readonly #steered = new Map<string, [id: string, digest: string]>()
  /** Ends when the last admitted run has, its terminal event committed. */
  #ended: Promise<unknown> = Promise.resolve()
  #closed = false

  constructor(options: SessionOptions) {
    this.threadId = options.threadId
    this.#options = options
    this.#facts = options.facts
  }

  /**
   * Admits a run and starts it, or queues it when the thread is busy and `forwardedProps.delivery` allows. Resolves
   * when RUN_STARTED is in the log, or the queue is stored.
   *
   * @throws {RunnerError} `thread_busy`, `run_exists`, `history_conflict`, `invalid_input`, `queue_full`,
   * `shutting_down`.
   */
  async submit(input: RunAgentInput): Promise<Submitted> {
    this.#checkOpen()
    this.#checkNew(input.runId)
    const { runId, forwardedProps } = input
    const { delivery } = Delivery.parse(forwardedProps ?? {})
    const busy = this.#run?.run.runId
    if (busy !== undefined && delivery === undefined) {
      const message = `Run "${busy}" is under way on this thread; wait for its end, interrupt it, or send forwardedProps.delivery "queue".`
      throw new RunnerError('thread_busy', message, { details: { runId: busy } })
    }
    this.#options.agent.check(input)
    const resume = this.#answers(input.resume)
    const results = this.#toolResults(input.messages)
    const isAnswered = resume.length + results.length > 0
    const { messages, digests } = reconcile(input.messages, { ...this.#knownMessages(), isAnswered })
    const queued = { request: { ...input, messages: [...results, ...messages], resume }, digests }
    if (busy === undefined) return { runId, after: await this.#start(queued) }
    if (delivery === 'steer' && this.#steerAll(messages, digests)) {
      await this.#options.threads.addRun(this.threadId, runId)
      return { runId, after: this.#options.log.head(this.threadId), steeredInto: busy }
    }
    const after = this.#options.log.head(this.threadId)
    await this.#enqueue(queued)
    return { runId, after }
  }

  /**
   * Puts a user message into the thread: into the running turn, behind it, or as a run at once when nothing runs.
   *
   * @throws {RunnerError} `invalid_input`, `queue_full`, `shutting_down`.
   */
  async post(content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    this.#checkOpen()
    const messageId = randomUUID()
    const message = parseUserContent(content, messageId)
    if (delivery === 'steer' && this.#run !== undefined && this.#options.agent.steer(message)) {
      // As it will be told in the stream: that is what a client sends back.
      const told = { ...message, content: contentToText(message.content) }
      const shown = { ...told, content: this.#options.redactor.redactText(told.content) }
      for (const known of withShown(reconcile([told], this.#knownMessages()).digests, [shown]))
        this.#steered.set(messageId, known)
      return { messageId, delivery: 'steer', runId: this.#run.run.runId }
    }
    const { messages, digests } = reconcile([message], this.#knownMessages())
    const runId = randomUUID()
    const request = { threadId: this.threadId, runId, messages, tools: [], context: [] }
    this.#answers()
    const queued = { request, digests }
    if (this.#run === undefined) {
      await this.#start(queued)
      return { messageId, delivery: 'run', runId }
    }
    await this.#enqueue(queued)
    return { messageId, delivery: 'queue', runId }
  }

  /** Into the running turn, all or none. */
  #steerAll(messages: readonly UserMessage[], digests: QueuedRun['digests']): boolean {
    const told = messages.map((message) => ({ ...message, id: toldId(message.id) }))
    if (!told.every((message) => this.#options.agent.steer(message))) return false
    // As readers are told them: that is what one of them sends back.
    const shown = messages.map((message) => ({
      ...message,
      content: this.#options.redactor.redactText(contentToText(message.content)),
    }))
    for (const known of withShown(digests, shown)) this.#steered.set(toldId(known[0]), known)
    return true
  }

  /** Starts the first queued run when nothing runs. */
  next(): void {
    const [queued, ...queue] = this.#facts.queue
    if (queued === undefined || this.#run !== undefined || this.#closed) return
    // What waits for a person goes first; the queue goes on when it is answered.
    if (this.#options.agent.interrupts.length > 0) return
    this.#facts = { ...this.#facts, queue }
    this.#start(queued).catch((error: unknown) => this.#options.onLogFailure(error))
  }

  /** Stops the running turn; its Claude session goes on. Resolves when the run has ended. */
  async interrupt(): Promise<boolean> {
    if (this.#run === undefined) return false
    this.#run.run.stop()
    await this.#ended
    return true
  }

  /** The model of later runs; the conversation goes on. Returns the one before. */
  async setModel(model: string): Promise<string | undefined> {
    const { agent, threads } = this.#options
    const before = await agent.setModel(model)
    this.#facts = { ...this.#facts, memory: agent.memory, updatedAt: Date.now() }
    await threads.put(this.threadId, this.#facts)
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
    const { openRun, ...facts } = this.#facts
    if (openRun === undefined) return
    const events = await this.#cutEvents(openRun)
    if (events.length > 0) {
      await this.#options.log.append(this.threadId, openRun.runId, events, { durable: true })
    }
    this.#facts = { ...facts, lastOutcome: 'error', updatedAt: Date.now() }
    await this.#options.threads.put(this.threadId, this.#facts)
  }

  /** Whether nothing ever happened on this thread. */
  get pristine(): boolean {
    return (
      this.#run === undefined &&
      this.#facts.lastOutcome === 'none' &&
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

  describe(): SessionDescription {
    const { lastOutcome, createdAt, updatedAt } = this.#facts
    const { interrupts } = this.#options.agent
    const ended = interrupts.length > 0 ? 'interrupted' : lastOutcome === 'error' ? 'failed' : 'idle'
    return {
      threadId: this.threadId,
      state: this.#run === undefined ? ended : 'running',
      lastSeq: this.#options.log.head(this.threadId),
      ...(this.#run === undefined ? {} : { runId: this.#run.run.runId }),
      interrupts: this.#options.agent.interrupts,
      queue: this.#facts.queue.map(({ request }) => ({
        runId: request.runId,
        messageIds: request.messages.map(({ id }) => id),
      })),
      usage: this.#facts.usage,
      createdAt,
      updatedAt,
      ...this.#options.agent.describe(),
    }
  }

  /** Ends the open run as `cancelled` and the agent's process. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.#run?.run.stop()
    await this.#ended
    await this.#options.agent.close()
  }

  #checkOpen(): void {
    if (this.#closed)
      throw new RunnerError('shutting_down', 'The runner is stopping; send this to the next one.')
  }

  /**
   * The entries that answer something open. A thread that waits for a person does not go on without an answer, also
   * not for a client that knows nothing of the question (agui-1.0-producer.md A8.59).
   */
  #answers(resume: readonly ResumeEntry[] = []): ResumeEntry[] {
    const { agent, redactor } = this.#options
    const { interrupts } = agent
    const answers = resume.flatMap((entry) => {
      const interrupt = interrupts.find(({ id }) => id === entry.interruptId)
      return interrupt === undefined ? [] : [restoreAnswer(entry, interrupt, redactor)]
    })
    if (interrupts.length === 0 || answers.length > 0 || this.#run !== undefined) return answers
    const message = 'This thread waits for an answer: send resume entries for the interrupts in details.'
    throw new RunnerError('interrupt_open', message, { details: { interrupts } })
  }

  /** The results that the client owes for its own tools; what answers nothing is history. */
  #toolResults(messages: readonly Message[]): Message[] {
    const { pendingToolCallIds } = this.#options.agent
    return messages.filter(
      (message) => message.role === 'tool' && pendingToolCallIds.includes(message.toolCallId),
    )
  }

  #checkNew(runId: string): void {
    const isKnown =
      this.#options.threads.hasRun(this.threadId, runId) ||
      this.#run?.run.runId === runId ||
      this.#facts.queue.some(({ request }) => request.runId === runId)
    if (!isKnown) return
    const message = `Run "${runId}" was seen before on this thread; send a new runId, or read it from the thread's events.`
    throw new RunnerError('run_exists', message)
  }

  /** With the messages of the run under way and of the queue, which are not stored as known yet. */
  #knownMessages(): KnownMessages {
    const underWay = [this.#run, ...this.#facts.queue].flatMap((run) => run?.digests ?? [])
    const digests = new Map(underWay)
    return {
      messageDigest: (id) => digests.get(id) ?? this.#options.threads.messageDigest(this.threadId, id),
      lastUserMessageId: underWay.at(-1)?.[0] ?? this.#facts.lastUserMessageId,
    }
  }

  /**
   * Nothing is awaited before the run is this thread's one run and all of its start is written: either the run is
   * known and in the log, or neither. Returns the last seq before it.
   */
  async #start(queued: QueuedRun): Promise<number> {
    const { log, agent, threads } = this.#options
    const { request } = queued
    const { runId } = request
    const onUserMessage = (id: string): void => {
      const known = this.#steered.get(id)
      if (known !== undefined) digests.push(known)
    }
    this.#steered.clear()
    const run = new Run({ ...this.#options, request, onUserMessage })
    const digests = withShown(queued.digests, run.shownMessages)
    this.#run = { run, digests }
    const after = log.head(this.threadId)
    const ended = run.execute(agent, (end) => this.#settle(end, digests))
    const { threadId } = this
    this.#ended = ended.then(
      (end) => this.#options.onRunEnded({ threadId, runId, end }),
      (error: unknown) => this.#options.onLogFailure(error),
    )
    const { memory } = agent
    this.#facts = { ...this.#facts, openRun: { runId, after }, updatedAt: Date.now(), memory }
    await Promise.all([
      threads.addRun(this.threadId, runId),
      threads.put(this.threadId, this.#facts),
      run.started,
    ])
    return after
  }

  async #enqueue(queued: QueuedRun): Promise<void> {
    const { queueMax, threads } = this.#options
    if (this.#facts.queue.length >= queueMax) {
      throw new RunnerError('queue_full', `QUEUE_MAX (${queueMax}) messages wait on this thread already.`)
    }
    this.#facts = { ...this.#facts, queue: [...this.#facts.queue, queued] }
    await threads.put(this.threadId, this.#facts)
  }

  #settle(end: RunEnd, digests: QueuedRun['digests']): void {
    const { threads, agent } = this.#options
    const { openRun: _closed, ...facts } = this.#facts
    this.#options.onRunEnding?.()
    this.#run = undefined
    this.#facts = {
      ...facts,
      lastOutcome: end.outcome,
      updatedAt: Date.now(),
      usage: aggregateTokenUsage([...facts.usage, ...(end.usage ?? [])]),
      memory: agent.memory,
    }
    const last = digests.at(-1)
    const writes: Promise<unknown>[] = []
    // A failed run's messages are forgotten: a client that retries sends the same ones with a new runId.
    if (end.outcome !== 'error' && last !== undefined) {
      this.#facts.lastUserMessageId = last[0]
      writes.push(threads.addMessages(this.threadId, digests))
    }
    writes.push(threads.put(this.threadId, this.#facts))
    Promise.all(writes).catch((error: unknown) => this.#options.onLogFailure(error))
    this.next()
  }

  /** What a cut run lacks in the log: the ends of what is open, and its terminal event. */
  async #cutEvents({ after }: { after: number }): Promise<AguiEvent[]> {
    const { log } = this.#options
    const head = log.head(this.threadId)
    if (head <= after) return []
    const open = new OpenItems()
    for await (const batches of log.read(this.threadId, after, new AbortController().signal)) {
      for (const batch of batches) {
        if (batch.terminal) return []
        for (const { event } of batch.records()) open.apply(event)
      }
      if ((batches.at(-1)?.last ?? 0) >= head) break
    }
    const message = 'The runner was stopped in the middle of this run and has started again.'
    return [...open.closing(), { type: EventType.RUN_ERROR, code: 'runner_restarted', message }]
  }
}
