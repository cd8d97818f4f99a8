import { randomUUID } from 'node:crypto'
import type { Message, UserMessage } from '@ag-ui/core'
import type { AgentSession, RunEnd, RunRequest } from '../agent/agent.ts'
import { parseUserContent } from '../agui/input.ts'
import { inBackground } from '../background.ts'
import { isCode, RunnerError } from '../errors.ts'
import type { Write } from '../storage/table.ts'
import { admit, namedIds } from './admit.ts'
import { openAnswers } from './answers.ts'
import { type Cut, closeCut, RESTARTED } from './cut-run.ts'
import { knownAfter, withShown, withSteered } from './digests.ts'
import { reconcile, type TakenIn } from './history.ts'
import { keptMedia } from './kept-media.ts'
import { type KnownIds, knownMessages } from './known-ids.ts'
import type { Queue, QueuedRun, Waiting } from './queue.ts'
import { openingEvents, pendingEvents, queuedEvents } from './queue-events.ts'
import { isForNow, RoomWait } from './room-wait.ts'
import { Run } from './run.ts'
import { refusedRun, withdrawnRun } from './run-events.ts'
import type { Accepted, Submitted, Taken } from './submitted.ts'
import { lookBehind, type Start, takeBack } from './take-back.ts'
import { describeThread, type ThreadDescription } from './thread-description.ts'
import type { ThreadOptions } from './thread-options.ts'
import { factsAfter, type LookedUp, putFacts, putMessages, putRun, type ThreadFacts } from './thread-table.ts'
import { firstLine, renamed, titled } from './title.ts'

/** One thread. It admits one run at a time. */
export class Thread {
  readonly threadId: string
  readonly #options: ThreadOptions
  readonly #room: RoomWait
  #facts: ThreadFacts
  #run: { run: Run; runId: string; digests: QueuedRun['digests'] } | undefined
  /** Settles when the terminal event of the last admitted run is on disk. */
  #ended: Promise<unknown> = Promise.resolve()
  /** Settles when the thread is free of that run. */
  #settled: Promise<unknown> = Promise.resolve()
  /** The number of runs so far. A change during a wait means that the state must be looked up again. */
  #runs = 0
  #isClosed = false
  /** Set while a run that was cut short is being ended in the log. */
  #closingCut: Promise<void> | undefined
  /** Whether the thread is gone, so that nothing is written for it any more. */
  #isOver = false

  constructor(options: ThreadOptions) {
    this.threadId = options.writer.threadId
    this.#options = options
    this.#facts = options.facts
    this.#room = new RoomWait(options.writer, () => this.next())
  }

  /**
   * Admits a run and starts it, or queues it when the thread is busy and `forwardedProps.delivery` allows. Resolves
   * when RUN_STARTED is in the log, or the queue is stored.
   *
   * @throws {RunnerError} `thread_busy`, `run_exists`, `history_conflict`, `invalid_input`, `queue_full`,
   * `shutting_down`, `storage_full`.
   */
  async submit(input: RunRequest): Promise<Submitted> {
    const { runId } = input
    const { blobs, table, writer } = this.#options
    const restore = await keptMedia(this.threadId, input.messages, blobs)
    const known = await this.#lookUp(runId, namedIds(input), input.messages)
    const runs = this.#runs
    const { queued, steered, back, ...behind } = admit(input, this.#known(known), {
      ...this.#options,
      restore,
    })
    if (back !== undefined) {
      const { forgotten, held } = await lookBehind(table, this.threadId, back)
      // The conversation changed while the store was read, so the request is judged again.
      if (this.#isClosed || this.#run !== undefined || runs !== this.#runs) return await this.submit(input)
      return { runId, after: await this.#start(queued, { back: { ...back, forgotten } }), ...held }
    }
    if (this.#run === undefined) return { runId, after: await this.#start(queued), ...behind }
    const after = writer.head
    const taken = await this.#enqueue(queued, steered)
    if (taken === undefined) return { runId, after, ...behind }
    await writer.commit({ writes: [putRun(this.threadId, runId)], isLast: true })
    return { runId, after, ...taken }
  }

  /**
   * Puts a user message into the thread: into the running turn, into the queue, or as a run at once when nothing runs.
   *
   * @throws {RunnerError} `invalid_input`, `queue_full`, `shutting_down`, `storage_full`.
   */
  async post(content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    const [messageId, runId] = [randomUUID(), randomUUID()]
    const known = await this.#lookUp(runId, [messageId])
    const message = parseUserContent(content, messageId)
    const { messages, digests } = reconcile([message], knownMessages(this.#known(known)))
    const request = { threadId: this.threadId, runId, messages, tools: [], context: [] }
    const queued = { request, digests, skipped: [] }
    this.#options.agent.check(request, { isSteering: false })
    openAnswers([], { ...this.#options, isRunning: this.#run !== undefined })
    if (this.#run === undefined) {
      await this.#start(queued)
      return { messageId, delivery: 'run', runId }
    }
    const taken = await this.#enqueue(queued, delivery === 'steer' ? messages : [])
    if (taken === undefined) return { messageId, delivery: 'queue', runId }
    return { messageId, delivery: 'steer', runId: taken.steeredInto }
  }

  /**
   * Stores an accepted run first. Then its messages may go into the running turn, all or none. Messages that the turn does
   * not take in stay queued and become a run of their own. Returns where they went.
   */
  async #enqueue(
    { request, digests, skipped }: QueuedRun,
    steered: readonly UserMessage[],
  ): Promise<Taken | undefined> {
    const { agent, queue, redactor } = this.#options
    const run = this.#run?.run
    const known = withSteered(digests, steered, redactor.redactText)
    const words = firstLine(request.messages, redactor.redactText)
    const waiting = await queue.add({ request, digests: known, skipped }, words)
    const isThere = run !== undefined && !run.isOver && this.#run?.run === run && queue.has(waiting)
    const inVain = isThere && steered.length > 0 ? agent.steer(steered, request) : undefined
    if (run === undefined || inVain === undefined) return undefined
    waiting.isSteered = true
    run.insert(pendingEvents(request.messages))
    return { steeredInto: run.runId, skipped: [...new Set([...skipped, ...inVain])] }
  }

  /** Starts the first queued run when nothing runs. */
  next(): void {
    // A steered run is skipped: the turn takes it in, or returns it to the queue.
    const waiting = this.#options.queue.waiting.find(({ isSteered }) => !isSteered)
    if (waiting === undefined || !this.#isFree) return
    const work = { name: 'starting a queued run', threadId: this.threadId, runId: waiting.runId }
    inBackground(work, this.#startQueued(waiting), (error) => this.#options.onLogFailure(error))
  }

  /** Whether the next run may start. An open interrupt comes first; the queue continues when it is answered. */
  get #isFree(): boolean {
    return this.#run === undefined && !this.#isClosed && this.#options.agent.interrupts.length === 0
  }

  /** Starts a queued run. A run that cannot start ends with its reason, and the next one follows. */
  async #startQueued(waiting: Waiting): Promise<void> {
    const { queue } = this.#options
    if (!(await this.#room.isThere())) return
    try {
      const queued = await queue.read(waiting)
      if (!this.#isFree || !queue.has(waiting)) return
      if (!waiting.isWithdrawn) return void (await this.#start(queued, { waiting }))
      await queue.end(waiting, withdrawnRun(this.threadId, waiting), waiting.digests)
      this.next()
    } catch (error) {
      // The run has begun, so its own end reports the failure.
      if (!queue.has(waiting)) throw error
      if (isForNow(error)) return this.#room.later()
      await queue.end(waiting, refusedRun(this.threadId, waiting.runId, error))
      this.next()
    }
  }

  /** Stops the running turn and keeps the agent's conversation. Resolves when the run has ended. */
  async interrupt(): Promise<boolean> {
    const run = this.#run?.run
    if (run === undefined || run.isOver) return false
    run.stop()
    await this.#ended
    return true
  }

  /** Stops a run whose sender has left for good, or keeps it from starting. Resolves when it has ended. */
  async withdraw(runId: string): Promise<void> {
    if (this.#run?.run.runId === runId) await this.interrupt()
    else await this.#options.queue.remove(runId)
  }

  /** Sets the model of later runs and keeps the conversation. Returns the model before. */
  async setModel(model: string): Promise<string | undefined> {
    const { agent, writer } = this.#options
    const before = await agent.setModel(model)
    // If the thread was deleted meanwhile, a write now would bring it back after a restart.
    if (this.#isOver) this.#checkOpen()
    this.#facts = { ...this.#facts, memory: agent.memory, updatedAt: Date.now() }
    await writer.commit({ writes: [putFacts(this.threadId, this.#facts)], isLast: true })
    return before
  }

  /** Sets the title that a person chose. @throws {RunnerError} `shutting_down`, `storage_full`. */
  async rename(title: string): Promise<void> {
    const { redactor, writer } = this.#options
    this.#checkOpen()
    this.#facts = renamed(this.#facts, redactor.redactText(title))
    await writer.commit({ writes: [putFacts(this.threadId, this.#facts)], isLast: true })
  }

  /** The queue, for changes by a person. */
  get queue(): Pick<Queue, 'order' | 'withdraw'> {
    return this.#options.queue
  }

  /** The agent's own operations, which do not involve the thread. */
  get agent(): Pick<AgentSession, 'toolServers' | 'stopTask' | 'taskOutput' | 'warm'> {
    return this.#options.agent
  }

  /** Ends in the log the run that was cut short, if there is one. On a full disk it stays open until there is room. */
  async closeCut(cut: Cut): Promise<void> {
    this.#facts = (await closeCut(cut, this.#facts, this.#options)) ?? this.#facts
  }

  /** Handles a run that the log did not take whole. A full disk ends the run and nothing else. */
  async #cutShort(error: unknown): Promise<RunEnd | undefined> {
    const { writer, onLogFailure } = this.#options
    writer.forgetKept()
    if (!isCode(error, 'storage_full')) {
      onLogFailure(error)
      return undefined
    }
    await this.closeCut(error).catch(onLogFailure)
    this.#free()
    return { outcome: 'error', code: error.code, message: error.message }
  }

  #free(): void {
    this.#run = undefined
    this.#runs += 1
  }

  /** Whether nothing has ever happened on this thread. */
  get pristine(): boolean {
    const { queue, writer } = this.#options
    const isUnused = this.#run === undefined && this.#facts.lastOutcome === 'none'
    return isUnused && queue.waiting.length === 0 && writer.head === 0
  }

  /** The last seq before the run in progress, if there is one. */
  get runningAfter(): number | undefined {
    return this.#run === undefined ? undefined : this.#facts.openRun?.after
  }

  describe(): ThreadDescription {
    const { agent, queue, writer } = this.#options
    const view = { ...agent.describe(), interrupts: agent.interrupts }
    const now = { agent: view, lastSeq: writer.head, runId: this.#run?.run.runId, waiting: queue.waiting }
    return describeThread(this.threadId, this.#facts, now)
  }

  /** Ends the current run with this error and keeps the conversation. */
  cutRun(error: RunnerError): void {
    this.#run?.run.stop(error)
  }

  /** Ends the open run as `cancelled`, then the agent's process. Safe to call twice. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#room.close()
    this.#run?.run.stop()
    // The run's end was already reported.
    await this.#ended.catch(() => undefined)
    await this.#options.agent.close()
    this.#isOver = true
  }

  /** Reads what the store knows. The caller decides in the same turn, since running and queued runs are known only here. */
  async #lookUp(runId: string, ids: readonly string[], history?: readonly Message[]): Promise<LookedUp> {
    for (;;) {
      await this.#checkReady()
      const runs = this.#runs
      const known = await this.#options.table.lookUp(this.threadId, runId, ids, history)
      this.#checkOpen()
      if (runs === this.#runs && this.#run?.run.isOver !== true) return known
    }
  }

  /** Waits for a run whose end is being written, and ends a run that a full disk left open. */
  async #checkReady(): Promise<void> {
    this.#checkOpen()
    await this.#options.writer.checkRoom()
    while (this.#run?.run.isOver === true) await this.#settled
    if (this.#run !== undefined || this.#facts.openRun === undefined) return
    this.#closingCut ??= this.closeCut(RESTARTED).finally(() => {
      this.#closingCut = undefined
    })
    await this.#closingCut
    this.#checkOpen()
  }

  #known(lookedUp: LookedUp): KnownIds {
    return { lookedUp, underWay: this.#run, waiting: this.#options.queue.waiting, stored: this.#facts }
  }

  #checkOpen(): void {
    if (this.#isClosed)
      throw new RunnerError('shutting_down', 'The runner is stopping, or the thread is being deleted.')
  }

  /**
   * Starts a run. It becomes the thread's one run before anything is awaited. It begins when its whole start is committed:
   * the run is both known and in the log, or neither. The agent prepares meanwhile. Returns the last seq before the run.
   *
   * @throws {RunnerError} `regenerate_unsupported`, `storage_full`.
   */
  async #start({ request, ...queued }: QueuedRun, { waiting, back }: Start = {}): Promise<number> {
    const { agent, queue, redactor, writer } = this.#options
    const { runId } = request
    const undo = back === undefined ? undefined : takeBack(agent, back, request)
    const by: TakenIn = { turn: writer.head, point: agent.point }
    const run = new Run({
      ...this.#options,
      request,
      firstWords: openingEvents(back?.turn, queued.skipped),
      onUserMessage: (id) => {
        const known = queue.takeIn(id)
        if (known !== undefined) digests.push(known)
      },
      lastWords: () => (this.#isParked ? [] : queuedEvents(queue.waiting.filter((each) => each.isSteered))),
      lastWrites: (end) => this.#lastWrites(end, digests, by),
    })
    const digests = withShown(queued.digests, run.shownMessages)
    this.#run = { run, runId, digests }
    const { threadId } = this
    const before = this.#facts
    const { lastUserMessageId } = back ?? before
    const openRun = { runId, after: by.turn }
    const facts = { ...titled(before, request.messages, redactor.redactText), lastUserMessageId }
    this.#facts = { ...facts, openRun, updatedAt: Date.now(), memory: agent.memoryAhead(request) }
    const removal = waiting === undefined ? (back?.forgotten ?? []) : queue.removal(waiting)
    const started = run.start([putRun(threadId, runId), putFacts(threadId, this.#facts), ...removal])
    const ended = run.execute(agent)
    const settled = started.then(
      () => {
        if (waiting !== undefined) queue.leave(waiting)
        return this.#end(ended)
      },
      async () => {
        await ended.catch(() => undefined)
        undo?.()
        if (waiting !== undefined) queue.stay(waiting)
        this.#facts = before
        this.#free()
        return undefined
      },
    )
    this.#settled = settled
    this.#ended = this.#reportEnd(runId, settled)
    inBackground({ name: 'ending a run', threadId, runId }, this.#ended)
    // On failure the caller finds the thread as it was.
    await started.catch(() => settled)
    await started
    await writer.flushed()
    return by.turn
  }

  /** Resolves with the run's end, or undefined when the runner cannot continue. Never rejects. */
  async #end(ended: Promise<RunEnd>): Promise<RunEnd | undefined> {
    const { queue } = this.#options
    const { openRun } = this.#facts
    let end: RunEnd | undefined
    try {
      end = await ended
      queue.forgetTaken()
      if (!this.#isParked) for (const waiting of queue.waiting) waiting.isSteered = false
      this.#free()
    } catch (error) {
      this.#facts = { ...this.#facts, openRun }
      end = await this.#cutShort(error)
    }
    this.next()
    return end
  }

  async #reportEnd(runId: string, settled: Promise<RunEnd | undefined>): Promise<void> {
    const end = await settled
    if (end === undefined) return
    const { writer, onRunEnded, onLogFailure } = this.#options
    await writer.flushed().then(() => onRunEnded({ threadId: this.threadId, runId, end }), onLogFailure)
  }

  /** Whether the turn waits for an answer. It then still holds the messages that it was given. */
  get #isParked(): boolean {
    const { interrupts, pendingToolCallIds } = this.#options.agent
    return interrupts.length + pendingToolCallIds.length > 0
  }

  /** Returns the writes for the commit of the terminal event. */
  async #lastWrites(end: RunEnd, digests: QueuedRun['digests'], by: TakenIn): Promise<Write[]> {
    const { agent, queue } = this.#options
    await this.#options.onRunEnding?.()
    const taken = await queue.takenWrites()
    const { kept, refused } = knownAfter(end, digests)
    this.#facts = factsAfter(end, this.#facts, { memory: agent.memory, lastUserMessageId: kept.at(-1)?.[0] })
    return [
      ...taken,
      ...putMessages(this.threadId, kept, by),
      ...putMessages(this.threadId, refused),
      putFacts(this.threadId, this.#facts),
    ]
  }
}
