import { randomUUID } from 'node:crypto'
import type { UserMessage } from '@ag-ui/core'
import type { AgentSession, RunEnd, RunRequest } from '../agent/agent.ts'
import { parseUserContent } from '../agui/input.ts'
import { inBackground } from '../background.ts'
import { isCode, RunnerError } from '../errors.ts'
import type { Write } from '../storage/table.ts'
import { admit, namedIds } from './admit.ts'
import { openAnswers } from './answers.ts'
import { type Cut, closeCut, RESTARTED } from './cut-run.ts'
import { knownAfter, withShown, withTold } from './digests.ts'
import { reconcile, type TakenIn } from './history.ts'
import { type KnownIds, knownMessages } from './known.ts'
import type { Queue, QueuedRun, Waiting } from './queue.ts'
import { openingEvents, pendingEvents, queuedEvents } from './queue-events.ts'
import { RoomWait } from './room-wait.ts'
import { Run } from './run.ts'
import { refusedRun, withdrawnRun } from './run-events.ts'
import { lookBehind, type Start, takeBack } from './take-back.ts'
import type { ThreadOptions } from './thread-options.ts'
import { factsAfter, type LookedUp, putFacts, putMessages, putRun, type ThreadFacts } from './thread-table.ts'
import { firstLine, renamed, titled } from './title.ts'
import { type Accepted, describeThread, type Submitted, type Taken, type ThreadDescription } from './told.ts'

/** One thread: admits one run at a time. */
export class Thread {
  readonly threadId: string
  readonly #options: ThreadOptions
  readonly #room: RoomWait
  #facts: ThreadFacts
  #run: { run: Run; runId: string; digests: QueuedRun['digests'] } | undefined
  /** Ends when the last admitted run has, its terminal event on disk. */
  #ended: Promise<unknown> = Promise.resolve()
  /** Ends when that run is this thread's run no more. */
  #settled: Promise<unknown> = Promise.resolve()
  /** How many runs have been this thread's: what they were is in the store then, and here no more. */
  #runs = 0
  #isClosed = false
  /** While a run that was cut short is being closed in the log. */
  #closingCut: Promise<void> | undefined
  /** Nothing is written for it any more. */
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
    const { table, writer } = this.#options
    const known = await this.#lookUp(runId, namedIds(input))
    const runs = this.#runs
    const { queued, steered, back, ...behind } = admit(input, this.#known(known), this.#options)
    if (back !== undefined) {
      const { forgotten, held } = await lookBehind(table, this.threadId, back)
      // What happened meanwhile happened to the conversation as it was.
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
   * Puts a user message into the thread: into the running turn, behind it, or as a run at once when nothing runs.
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
   * What is accepted is kept first. Then it may go into the running turn, with its messages as they will be sent there,
   * all or none: what the turn does not take in waits on and is a run of its own. Returns where it went.
   */
  async #enqueue(
    { request, digests, skipped }: QueuedRun,
    steered: readonly UserMessage[],
  ): Promise<Taken | undefined> {
    const { agent, queue, redactor } = this.#options
    const run = this.#run?.run
    const known = withTold(digests, steered, redactor.redactText)
    const words = firstLine(request.messages, redactor.redactText)
    const waiting = await queue.add({ request, digests: known, skipped }, words)
    const isThere = run !== undefined && !run.isOver && this.#run?.run === run && queue.has(waiting)
    const inVain = isThere ? steered.map((message) => agent.steer(message, request)) : []
    if (!isThere || inVain.length === 0 || inVain.includes(undefined)) return undefined
    waiting.isSteered = true
    run.tell(pendingEvents(request.messages))
    const parts = new Set([...skipped, ...inVain.flatMap((each) => each ?? [])])
    return { steeredInto: run.runId, skipped: [...parts] }
  }

  /** Starts the first queued run when nothing runs. */
  next(): void {
    // What a turn has been given it takes in, or it comes here.
    const waiting = this.#options.queue.waiting.find(({ isSteered }) => !isSteered)
    if (waiting === undefined || !this.#isFree) return
    const work = { name: 'starting a queued run', threadId: this.threadId, runId: waiting.runId }
    inBackground(work, this.#startQueued(waiting), (error) => this.#options.onLogFailure(error))
  }

  /** What waits for a person goes first; the queue goes on when it is answered. */
  get #isFree(): boolean {
    return this.#run === undefined && !this.#isClosed && this.#options.agent.interrupts.length === 0
  }

  /** One that cannot be started ends with its reason, and the next has its turn. */
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
      // It has begun: its own end says how it went.
      if (!queue.has(waiting)) throw error
      if (isCode(error, 'storage_full')) return this.#room.later()
      await queue.end(waiting, refusedRun(this.threadId, waiting.runId, error))
      this.next()
    }
  }

  /** Stops the running turn; the agent's conversation goes on. Resolves when the run has ended. */
  async interrupt(): Promise<boolean> {
    const run = this.#run?.run
    if (run === undefined || run.isOver) return false
    run.stop()
    await this.#ended
    return true
  }

  /** The sender of this run has left for good: it is stopped, or not begun. Resolves when it has ended. */
  async withdraw(runId: string): Promise<void> {
    if (this.#run?.run.runId === runId) await this.interrupt()
    else await this.#options.queue.remove(runId)
  }

  /** The model of later runs; the conversation goes on. Returns the one before. */
  async setModel(model: string): Promise<string | undefined> {
    const { agent, writer } = this.#options
    const before = await agent.setModel(model)
    // Deleted meanwhile: what is written now would come back after a restart.
    if (this.#isOver) this.#checkOpen()
    this.#facts = { ...this.#facts, memory: agent.memory, updatedAt: Date.now() }
    await writer.commit({ writes: [putFacts(this.threadId, this.#facts)], isLast: true })
    return before
  }

  /** What a person calls it from now on. @throws {RunnerError} `shutting_down`, `storage_full`. */
  async rename(title: string): Promise<void> {
    const { redactor, writer } = this.#options
    this.#checkOpen()
    this.#facts = renamed(this.#facts, redactor.redactText(title))
    await writer.commit({ writes: [putFacts(this.threadId, this.#facts)], isLast: true })
  }

  /** What waits, for whoever changes it. */
  get queue(): Pick<Queue, 'order' | 'withdraw'> {
    return this.#options.queue
  }

  /** What the thread has no part in. */
  get agent(): Pick<AgentSession, 'toolServers' | 'stopTask' | 'taskOutput' | 'warm'> {
    return this.#options.agent
  }

  /** Closes in the log what a runner that died left open. Call before any client is served. */
  async recover(cut: Cut): Promise<void> {
    await this.#closeCut(cut)
  }

  /** Ends in the log the run that was cut short. Without room for that it stays open, until there is. */
  async #closeCut(cut: Cut): Promise<void> {
    this.#facts = (await closeCut(cut, this.#facts, this.#options)) ?? this.#facts
  }

  /** The log did not take all of the run. On a full disk that ends the run and nothing else. */
  async #cutShort(error: unknown): Promise<RunEnd | undefined> {
    const { writer, onLogFailure } = this.#options
    writer.forgetKept()
    if (!isCode(error, 'storage_full')) {
      onLogFailure(error)
      return undefined
    }
    await this.#closeCut(error).catch(onLogFailure)
    this.#free()
    return { outcome: 'error', code: error.code, message: error.message }
  }

  #free(): void {
    this.#run = undefined
    this.#runs += 1
  }

  /** Whether nothing ever happened on this thread. */
  get pristine(): boolean {
    const { queue, writer } = this.#options
    const isUnused = this.#run === undefined && this.#facts.lastOutcome === 'none'
    return isUnused && queue.waiting.length === 0 && writer.head === 0
  }

  /** The last seq before the run that is under way, if one is. */
  get runningAfter(): number | undefined {
    return this.#run === undefined ? undefined : this.#facts.openRun?.after
  }

  describe(): ThreadDescription {
    const { agent, queue, writer } = this.#options
    const view = { ...agent.describe(), interrupts: agent.interrupts }
    const now = { agent: view, lastSeq: writer.head, runId: this.#run?.run.runId, waiting: queue.waiting }
    return describeThread(this.threadId, this.#facts, now)
  }

  /** Ends what runs, as `error`; the conversation goes on. */
  cutRun(error: RunnerError): void {
    this.#run?.run.stop(error)
  }

  /** Ends the open run as `cancelled` and the agent's process. Idempotent. */
  async close(): Promise<void> {
    this.#isClosed = true
    this.#room.close()
    this.#run?.run.stop()
    // How it ended was sent.
    await this.#ended.catch(() => undefined)
    await this.#options.agent.close()
    this.#isOver = true
  }

  /** What the store knows, for a decision in the turn in which this resolves: what runs and waits is known here. */
  async #lookUp(runId: string, messageIds: readonly string[]): Promise<LookedUp> {
    for (;;) {
      await this.#checkReady()
      const runs = this.#runs
      const known = await this.#options.table.lookUp(this.threadId, runId, messageIds)
      this.#checkOpen()
      if (runs === this.#runs && this.#run?.run.isOver !== true) return known
    }
  }

  /** A run whose end is being written is waited for, and one that a full disk left open ends before another begins. */
  async #checkReady(): Promise<void> {
    this.#checkOpen()
    await this.#options.writer.checkRoom()
    while (this.#run?.run.isOver === true) await this.#settled
    if (this.#run !== undefined || this.#facts.openRun === undefined) return
    this.#closingCut ??= this.#closeCut(RESTARTED).finally(() => {
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
   * Nothing is awaited before the run is this thread's one run. It begins when all of its start is committed: either the
   * run is known and in the log, or neither. The agent gets ready meanwhile. Returns the last seq before it.
   *
   * @throws {RunnerError} `regenerate_unsupported`, `storage_full`.
   */
  async #start(queued: QueuedRun, { waiting, back }: Start = {}): Promise<number> {
    const { agent, queue, redactor, writer } = this.#options
    const { request } = queued
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
    this.#ended = this.#tellEnd(runId, settled)
    inBackground({ name: 'ending a run', threadId, runId }, this.#ended)
    // Whoever asked finds the thread as it was.
    await started.catch(() => settled)
    await started
    await writer.flushed()
    return by.turn
  }

  /** To its end; undefined when the runner cannot go on. Never rejects. */
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

  async #tellEnd(runId: string, settled: Promise<RunEnd | undefined>): Promise<void> {
    const end = await settled
    if (end === undefined) return
    const { writer, onRunEnded, onLogFailure } = this.#options
    await writer.flushed().then(() => onRunEnded({ threadId: this.threadId, runId, end }), onLogFailure)
  }

  /** Its turn is not over and waits for somebody: it still holds what it was given. */
  get #isParked(): boolean {
    const { interrupts, pendingToolCallIds } = this.#options.agent
    return interrupts.length + pendingToolCallIds.length > 0
  }

  /** What is stored with the terminal event. */
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
