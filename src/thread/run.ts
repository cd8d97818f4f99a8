import { setTimeout as delay } from 'node:timers/promises'
import { EventType, type Message, PROTOCOL_VERSION, type RunFinishedOutcome } from '@ag-ui/core'
import type { AgentSession, RunEnd, RunRequest } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import { ownEvent } from '../agui/own-events.ts'
import { AwakeTimer } from '../awake-timer.ts'
import { runAnswered, runEnded, runStarted } from '../channels.ts'
import { RunnerError, toMessage } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { StreamRedactor } from '../redaction/stream-redactor.ts'
import type { Write } from '../storage/table.ts'
import type { Oversize } from './oversize.ts'
import type { Waiting } from './queue.ts'
import type { ThreadWriter } from './thread-writer.ts'

export interface RunLimits {
  /** A run is ended after this; 0 for never. */
  runTimeoutMs: number
  /** A run from whose agent nothing was heard for this long is ended; 0 for never. */
  runIdleTimeoutMs: number
}

export interface RunOptions extends RunLimits {
  request: RunRequest
  writer: ThreadWriter
  /** Takes out what no record may hold, on the way into the log: everything shown comes from there. */
  redactor: Redactor
  oversize: Oversize
  /** The thread's own events, right behind RUN_STARTED. */
  firstWords: readonly AguiEvent[]
  /** Called with the id of each user message that the agent takes in on the way. */
  onUserMessage(messageId: string): void
  /** The thread's own events, right before the terminal event. */
  lastWords(end: RunEnd): AguiEvent[]
  /** What the thread stores in the commit of the terminal event. */
  lastWrites(end: RunEnd): Promise<readonly Write[]>
}

/**
 * Commits of one run keep this distance: a burst of deltas costs a few larger batches instead of many small ones. What
 * comes after a pause is committed at once, and so is what follows within the next commits.
 */
const GATHER_MS = 8
const PROMPT_COMMITS = 3

/** While this many events wait for their commit the agent is asked to wait too. */
const PENDING_EVENTS_MAX = 4096

/**
 * One run, from RUN_STARTED to its one terminal event: pumps the agent's events into the log. Whatever the agent
 * does, the log stays grammatical: what it leaves open is closed here.
 */
export class Run {
  readonly runId: string
  /** The run's new messages as RUN_STARTED shows them. */
  readonly shownMessages: readonly Message[]
  readonly #options: RunOptions
  readonly #abort = new AbortController()
  readonly #open = new OpenItems()
  readonly #redaction: StreamRedactor
  readonly #opening: readonly AguiEvent[]
  #pending: AguiEvent[] = []
  #flushing: Promise<void> | undefined
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
    this.#redaction = options.redactor.createStream()
    this.#opening = [startEvent(options), ...options.firstWords].flatMap((event) => this.#shown(event))
    this.shownMessages = this.#opening.flatMap((event) =>
      event.type === EventType.RUN_STARTED ? (event.input?.messages ?? []) : [],
    )
  }

  /** Whether nothing belongs to this run any more: its end is being written, or is written. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Commits RUN_STARTED together with `writes`. @throws {RunnerError} `storage_full`: then there is no run. */
  async start(writes: readonly Write[]): Promise<void> {
    await this.#append(this.#opening, writes)
    runStarted.publish(this.#ids)
  }

  /** Asks the run to stop; it ends as `cancelled`, or as `error` when an error is given. The first call decides. */
  stop(error?: RunnerError): void {
    if (this.#abort.signal.aborted) return
    this.#cut = error
    this.#abort.abort()
  }

  /**
   * Runs to the end once it is started, and resolves when its terminal event is committed. Rejects only when the log
   * cannot be written: then nothing of the end is.
   */
  async execute(agent: AgentSession): Promise<RunEnd> {
    const end = await this.#ask(agent)
    try {
      await this.#flushing
      if (this.#logFailure !== undefined) throw this.#logFailure.error
      this.#isOver = true
      const closing = [...this.#open.closing(), ...this.#options.lastWords(end), this.#terminal(end)]
      const events = [...this.#pending, ...closing.flatMap((event) => this.#shown(event))]
      await this.#append(events, await this.#options.lastWrites(end), { isLast: true })
    } catch (error) {
      this.#isOver = true
      this.#tellEnd({ outcome: 'error', code: error instanceof RunnerError ? error.code : 'internal' })
      throw error
    }
    this.#tellEnd(end)
    return end
  }

  async #ask(agent: AgentSession): Promise<RunEnd> {
    const watch = this.#watch(agent.agentName)
    const { signal } = this.#abort
    let end: RunEnd
    try {
      end = signal.aborted
        ? { outcome: 'cancelled' }
        : await agent.run(this.#options.request, { emit: (events) => this.#emit(events), signal })
    } catch (error) {
      end = { outcome: 'error', code: 'internal', message: `The agent failed: ${toMessage(error)}` }
    } finally {
      watch.close()
    }
    if (this.#cut === undefined) return end
    const { code, message } = this.#cut
    return { outcome: 'error', code, message, ...usageOf(end) }
  }

  #tellEnd(end: { outcome: RunEnd['outcome']; code?: string }): void {
    const code = end.code === undefined ? {} : { code: end.code }
    runEnded.publish({ ...this.#ids, outcome: end.outcome, ...code, ms: this.#age })
  }

  /** Puts events of the thread's own into the stream of this run. */
  tell(events: readonly AguiEvent[]): void {
    for (const event of events) this.#pending.push(...this.#shown(event))
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
    // What comes after its end belongs to no run.
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
    this.#pending.push(...this.#shown(event))
  }

  #fail(error: unknown): void {
    this.#logFailure ??= { error }
    this.#abort.abort()
  }

  #keepFlushing(): void {
    this.#flushing ??= this.#flush()
  }

  /** As clients get it: without secrets, then in pieces that fit. */
  #shown(event: AguiEvent): AguiEvent[] {
    return this.#redaction.redact(event).flatMap((redacted) => this.#options.oversize.fit(redacted))
  }

  /** While one commit is under way the next batch gathers: a slow disk makes larger batches, not a longer queue. */
  async #flush(): Promise<void> {
    try {
      for (let commits = 0; this.#pending.length > 0; commits += 1) {
        const early = this.#committedAt + GATHER_MS - performance.now()
        // The first words of an answer wait for nothing but the disk.
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
    return this.#options.writer.commit({ append: { runId: this.runId, events }, writes, ...options })
  }

  #terminal(end: RunEnd): AguiEvent {
    const usage = usageOf(end)
    if (end.outcome === 'error') {
      return { type: EventType.RUN_ERROR, message: end.message, code: end.code, ...usage }
    }
    return {
      type: EventType.RUN_FINISHED,
      threadId: this.#options.writer.threadId,
      runId: this.runId,
      outcome: outcomeOf(end),
      ...(end.outcome === 'success' && end.result !== undefined ? { result: end.result } : {}),
      ...usage,
    }
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

function limit(ms: number, onEnd: () => void): AwakeTimer | undefined {
  return ms > 0 ? new AwakeTimer(ms, onEnd) : undefined
}

/**
 * RUN_STARTED with our own protocol version (agui-1.0-producer.md A2.13). Of the input it echoes what is new to the
 * thread: so every reader has the user's words too, and the traffic does not double with the history.
 */
function startEvent({ writer: { threadId }, request }: RunOptions): AguiEvent {
  const { runId, parentRunId, messages } = request
  return {
    type: EventType.RUN_STARTED,
    threadId,
    runId,
    protocolVersion: PROTOCOL_VERSION,
    ...(parentRunId === undefined ? {} : { parentRunId }),
    input: { threadId, runId, messages, tools: [], context: [] },
    timestamp: Date.now(),
  }
}

/** A run that could not be started, as its readers get it. */
export function refusedRun(threadId: string, runId: string, error: unknown): AguiEvent[] {
  const code = error instanceof RunnerError ? error.code : 'internal'
  const message = `The run could not be started: ${toMessage(error)}`
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION },
    { type: EventType.RUN_ERROR, code, message },
  ]
}

/** The events of a run that somebody took out of the queue. */
export function withdrawnRun(
  threadId: string,
  { runId, digests, words }: Pick<Waiting, 'runId' | 'digests' | 'words'>,
): AguiEvent[] {
  const messageIds = digests.map(([id]) => id)
  return [
    { type: EventType.RUN_STARTED, threadId, runId, protocolVersion: PROTOCOL_VERSION },
    ownEvent('withdrawn', { messageIds, words }),
    { type: EventType.RUN_FINISHED, threadId, runId, outcome: { type: 'cancelled' } },
  ]
}

function outcomeOf(end: Exclude<RunEnd, { outcome: 'error' }>): RunFinishedOutcome {
  if (end.outcome === 'cancelled') return { type: 'cancelled' }
  if (end.outcome === 'interrupt') return { type: 'interrupt', interrupts: end.interrupts }
  const { pendingToolCallIds } = end
  return { type: 'success', ...(pendingToolCallIds === undefined ? {} : { pendingToolCallIds }) }
}

function usageOf(end: RunEnd): Pick<RunEnd, 'usage'> {
  return end.usage === undefined || end.usage.length === 0 ? {} : { usage: end.usage }
}
