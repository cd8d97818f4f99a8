import { setTimeout as delay } from 'node:timers/promises'
import { EventType, type Message } from '@ag-ui/core'
import type { AgentSession, RunContext, RunEnd, RunRequest } from '../agent/agent.ts'
import type { TraceCarrier } from '../agent/trace.ts'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import { AwakeTimer } from '../awake-timer.ts'
import { modelAsked, runAnswered, runEnded, runSaid, runStarted } from '../channels.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { StreamRedactor } from '../redaction/stream-redactor.ts'
import type { Write } from '../storage/table.ts'
import type { Oversize } from './oversize.ts'
import { Replies } from './replies.ts'
import { endEvent, startEvent, useOf } from './run-events.ts'
import { putReplies } from './thread-table.ts'
import type { ThreadWriter } from './thread-writer.ts'

export interface RunLimits {
  /** Longest run, in milliseconds; 0 for no limit. */
  runTimeoutMs: number
  /** Longest silence of a run's agent, in milliseconds; 0 for no limit. */
  runIdleTimeoutMs: number
}

export interface RunOptions extends RunLimits {
  request: RunRequest
  writer: ThreadWriter
  /** Removes secrets on the way into the log, from which everything is shown. */
  redactor: Redactor
  oversize: Oversize
  /** The thread's own events, right after RUN_STARTED. */
  firstWords: readonly AguiEvent[]
  /** Called with the id of each user message that the agent takes in during the run. */
  onUserMessage(messageId: string): void
  /** Returns the thread's own events, right before the terminal event. */
  lastWords(end: RunEnd): AguiEvent[]
  /** Returns the thread's writes for the commit of the terminal event. */
  lastWrites(end: RunEnd): Promise<readonly Write[]>
}

/**
 * Least time between two commits of one run, in milliseconds: a burst of deltas makes a few larger batches instead of many
 * small ones. Events after a pause are committed at once, and so are those of the next few commits.
 */
const GATHER_MS = 8
const PROMPT_COMMITS = 3

/** Number of uncommitted events from which on the agent is asked to wait. */
const PENDING_EVENTS_MAX = 4096

/**
 * One run, from RUN_STARTED to its one terminal event. It writes the agent's events to the log and keeps the log legal:
 * items that the agent leaves open are closed here.
 */
export class Run {
  readonly runId: string
  /** The run's new messages, as RUN_STARTED shows them. */
  readonly shownMessages: readonly Message[]
  readonly #options: RunOptions
  readonly #abort = new AbortController()
  readonly #open = new OpenItems()
  readonly #redaction: StreamRedactor
  readonly #replies: Replies
  readonly #opening: AguiEvent[] = []
  #pending: AguiEvent[] = []
  #flushing: Promise<void> | undefined
  #begun: Promise<void> = Promise.resolve()
  readonly #trace: TraceCarrier
  readonly #admittedAt = performance.now()
  #answered = false
  #isOver = false
  #silence: AwakeTimer | undefined
  #committedAt = 0
  #cut: RunnerError | undefined
  #logFailure: { error: unknown } | undefined

  constructor(options: RunOptions) {
    this.#options = options
    this.runId = options.request.runId
    this.#trace = { ...options.request.trace }
    this.#redaction = options.redactor.createStream()
    this.#replies = new Replies(options.request.messages)
    for (const event of [startEvent(options.request), ...options.firstWords]) this.#fit(event, this.#opening)
    this.shownMessages = this.#opening.flatMap((event) =>
      event.type === EventType.RUN_STARTED ? (event.input?.messages ?? []) : [],
    )
  }

  /** Whether the end of the run is written or being written, so that no event belongs to it any more. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Commits RUN_STARTED together with `writes`. @throws {RunnerError} `storage_full`; the run then never existed. */
  start(writes: readonly Write[]): Promise<void> {
    this.#begun = this.#begin(writes)
    return this.#begun
  }

  async #begin(writes: readonly Write[]): Promise<void> {
    try {
      await this.#append(this.#opening, writes)
    } catch (error) {
      this.#isOver = true
      this.stop()
      throw error
    }
    runStarted.publish({ ...this.#ids, at: Date.now() - this.#age, trace: this.#trace })
    if (runSaid.hasSubscribers) this.#observe(this.#opening)
  }

  /** Asks the run to stop. It ends as `cancelled`, or with the error if one is given. The first call decides. */
  stop(error?: RunnerError): void {
    if (this.#abort.signal.aborted) return
    this.#cut = error
    this.#abort.abort()
  }

  /**
   * Runs to the end while its start is being committed. Resolves when the terminal event is committed. Rejects only when
   * the log cannot be written; then nothing of the end is written.
   */
  async execute(agent: AgentSession): Promise<RunEnd> {
    const end = await this.#ask(agent)
    await this.#begun
    try {
      await this.#flushing
      if (this.#logFailure !== undefined) throw this.#logFailure.error
      this.#isOver = true
      const closing = [...this.#open.closing(), ...this.#options.lastWords(end), endEvent(end, this.#ids)]
      const events = [...this.#pending, ...this.#shown(closing)]
      await this.#append(events, await this.#options.lastWrites(end), { isLast: true })
    } catch (error) {
      this.#isOver = true
      this.#publishEnd({ outcome: 'error', code: error instanceof RunnerError ? error.code : 'internal' })
      throw error
    }
    this.#publishEnd(end)
    return end
  }

  async #ask(agent: AgentSession): Promise<RunEnd> {
    // The trace for the agent exists once the run has begun.
    if (runSaid.hasSubscribers) await this.#begun.catch(() => undefined)
    const watch = this.#watch(agent.agentName)
    let end: RunEnd
    try {
      end = this.#abort.signal.aborted
        ? { outcome: 'cancelled' }
        : await agent.run({ ...this.#options.request, trace: this.#trace }, this.#context)
    } catch (error) {
      end = { outcome: 'error', code: 'internal', message: `The agent failed: ${toMessage(error)}` }
    } finally {
      watch.close()
    }
    if (this.#cut === undefined) return end
    const { code, message } = this.#cut
    return { outcome: 'error', code, message, ...useOf(end) }
  }

  get #context(): RunContext {
    return {
      emit: (events) => this.#emit(events),
      ...(modelAsked.hasSubscribers && {
        onModelCall: (call) => modelAsked.publish({ ...this.#ids, call }),
      }),
      signal: this.#abort.signal,
      begun: this.#begun,
    }
  }

  #publishEnd(end: { outcome: RunEnd['outcome']; code?: string; usage?: RunEnd['usage'] }): void {
    const { outcome, code, usage } = end
    const facts = { ...(code !== undefined && { code }), ...(usage !== undefined && { usage }) }
    runEnded.publish({ ...this.#ids, outcome, ...facts, ms: this.#age })
  }

  /** Puts the thread's own events into the stream of this run. */
  insert(events: readonly AguiEvent[]): void {
    for (const event of events) this.#show(event, this.#pending)
    this.#keepFlushing()
  }

  get #ids(): { threadId: string; runId: string } {
    return { threadId: this.#options.writer.threadId, runId: this.runId }
  }

  get #age(): number {
    return performance.now() - this.#admittedAt
  }

  #emit(events: readonly AguiEvent[]): Promise<void> | undefined {
    this.#silence?.restart()
    // An event after the end belongs to no run.
    if (events.length === 0 || this.#isOver) return undefined
    if (!this.#answered) {
      this.#answered = true
      runAnswered.publish({ ...this.#ids, ms: this.#age })
    }
    for (const event of events) this.#take(event)
    this.#keepFlushing()
    return this.#pending.length > PENDING_EVENTS_MAX ? this.#flushing : undefined
  }

  #take(event: AguiEvent): void {
    if (event.type === EventType.TEXT_MESSAGE_START && event.role === 'user') {
      this.#options.onUserMessage(event.messageId)
    }
    this.#open.apply(event)
    this.#show(CLOCKED.has(event.type) ? { ...event, timestamp: Date.now() } : event, this.#pending)
  }

  #fail(error: unknown): void {
    this.#logFailure ??= { error }
    this.#abort.abort()
  }

  #keepFlushing(): void {
    this.#flushing ??= this.#flush()
  }

  #shown(events: readonly AguiEvent[]): AguiEvent[] {
    const out: AguiEvent[] = []
    for (const event of events) this.#show(event, out)
    return out
  }

  /** Adds the event as clients get it, and passes it to observers of the run. */
  #show(event: AguiEvent, out: AguiEvent[]): void {
    const from = out.length
    this.#fit(event, out)
    if (runSaid.hasSubscribers) this.#observe(out.slice(from))
  }

  #observe(events: readonly AguiEvent[]): void {
    runSaid.publish({ ...this.#ids, events })
  }

  /** Redacts the event, then splits it into pieces that fit. */
  #fit(event: AguiEvent, out: AguiEvent[]): void {
    for (const redacted of this.#redaction.redact(event)) out.push(...this.#options.oversize.fit(redacted))
  }

  /** Writes batch after batch. During a commit the next batch grows: a slow disk makes larger batches, not a longer queue. */
  async #flush(): Promise<void> {
    try {
      await this.#begun
      for (let commits = 0; this.#pending.length > 0; commits += 1) {
        const early = this.#committedAt + GATHER_MS - performance.now()
        // The first words of an answer wait only for the disk.
        if (early > 0 && commits >= PROMPT_COMMITS) await delay(early)
        const events = this.#pending
        this.#pending = []
        await this.#append(events)
        this.#committedAt = performance.now()
      }
    } catch (error) {
      this.#fail(error)
    } finally {
      this.#flushing = undefined
    }
  }

  /** @throws {RunnerError} `storage_full`. */
  #append(
    events: readonly AguiEvent[],
    writes: readonly Write[] = [],
    options: { isLast?: boolean } = {},
  ): Promise<void> {
    const replies = putReplies(this.#ids.threadId, this.#replies.completedBy(events))
    const append = { runId: this.runId, events }
    return this.#options.writer.commit({ append, writes: [...writes, ...replies], ...options })
  }

  #watch(agentName: string): { close(): void } {
    const { runTimeoutMs, runIdleTimeoutMs } = this.#options
    const whole = limit(runTimeoutMs, () => {
      const message = `The run took longer than RUN_TIMEOUT_MS (${runTimeoutMs} ms).`
      this.stop(new RunnerError('run_timeout', message))
    })
    this.#silence = limit(runIdleTimeoutMs, () => {
      const message = `Nothing was heard from ${agentName} for RUN_IDLE_TIMEOUT_MS (${runIdleTimeoutMs} ms).`
      this.stop(new RunnerError('run_idle_timeout', message))
    })
    return {
      close: () => {
        whole?.close()
        this.#silence?.close()
      },
    }
  }
}

/** What says when a call began to run and when its result came; nothing else in the log says how long a tool took. */
const CLOCKED: ReadonlySet<EventType> = new Set([EventType.TOOL_CALL_END, EventType.TOOL_CALL_RESULT])

function limit(ms: number, onEnd: () => void): AwakeTimer | undefined {
  return ms > 0 ? new AwakeTimer(ms, onEnd) : undefined
}
