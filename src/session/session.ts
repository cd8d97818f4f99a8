import { EventType } from '@ag-ui/core'
import type { AgentDescription, AgentSession, RunEnd } from '../agui/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { OpenItems } from '../agui/grammar.ts'
import type { RunInput } from '../agui/input.ts'
import { RunnerError } from '../errors.ts'
import type { EventLog } from '../log/event-log.ts'
import { reconcile } from './history.ts'
import { Run, type RunLimits } from './run.ts'
import type { ThreadFacts, Threads } from './threads.ts'

export interface SessionOptions extends RunLimits {
  threadId: string
  facts: ThreadFacts
  agent: AgentSession
  log: EventLog
  threads: Threads
  /** Told when the log could not be written, with the cause: the runner cannot keep its promise then. */
  onLogFailure(error: unknown): void
}

export type SessionState = 'idle' | 'running' | 'interrupted' | 'failed'

export interface SessionDescription extends AgentDescription {
  threadId: string
  state: SessionState
  lastSeq: number
  runId?: string
  createdAt: number
  updatedAt: number
}

/** What a submitted run is read by: everything of the thread after `after`, up to its terminal event. */
export interface Submitted {
  runId: string
  after: number
  ended: Promise<RunEnd>
}

/** One thread: admits one run at a time. */
export class Session {
  readonly threadId: string
  readonly #options: SessionOptions
  #facts: ThreadFacts
  #run: { run: Run; ended: Promise<RunEnd> } | undefined
  #closed = false

  constructor(options: SessionOptions) {
    this.threadId = options.threadId
    this.#options = options
    this.#facts = options.facts
  }

  /**
   * Admits a run and starts it. Resolves when RUN_STARTED is in the log.
   *
   * @throws {RunnerError} `thread_busy`, `run_exists`, `history_conflict`, `invalid_input`, `shutting_down`.
   */
  async submit(input: RunInput): Promise<Submitted> {
    const { threadId } = this
    const { threads, log, agent } = this.#options
    if (this.#closed)
      throw new RunnerError('shutting_down', 'The runner is stopping; send the run to the next one.')
    if (threads.hasRun(threadId, input.runId) || this.#run?.run.runId === input.runId) {
      throw new RunnerError(
        'run_exists',
        `Run "${input.runId}" was seen before on this thread; send a new runId, or read it from the thread's events.`,
      )
    }
    if (this.#run !== undefined) {
      throw new RunnerError(
        'thread_busy',
        `Run "${this.#run.run.runId}" is under way on this thread; wait for its end, or interrupt it.`,
        {
          details: { runId: this.#run.run.runId },
        },
      )
    }
    const fresh = reconcile(input.messages, {
      messageDigest: (id) => threads.messageDigest(threadId, id),
      lastUserMessageId: this.#facts.lastUserMessageId,
    })
    const { runId, context, forwardedProps, parentRunId } = input
    const run = new Run({
      ...this.#options,
      parentRunId,
      request: { runId, messages: fresh.contents, context, forwardedProps },
      log,
    })
    const ended = run.execute(agent).then(async (end) => {
      await this.#settled(end, fresh.digests)
      return end
    })
    this.#run = { run, ended }
    const opened = this.#opened(run)
    ended
      .catch((error: unknown) => this.#options.onLogFailure(error))
      .finally(() => {
        this.#run = undefined
      })
    await opened
    return { runId, after: (await run.started) - 1, ended }
  }

  /** Stops the running turn; its Claude session goes on. Resolves when the run has ended. */
  async interrupt(): Promise<boolean> {
    const current = this.#run
    if (current === undefined) return false
    current.run.stop()
    await current.ended
    return true
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

  warm(): Promise<void> {
    return this.#options.agent.warm()
  }

  describe(): SessionDescription {
    const { lastOutcome, createdAt, updatedAt } = this.#facts
    const ended = lastOutcome === 'error' ? 'failed' : lastOutcome === 'interrupt' ? 'interrupted' : 'idle'
    return {
      threadId: this.threadId,
      state: this.#run === undefined ? ended : 'running',
      lastSeq: this.#options.log.head(this.threadId),
      ...(this.#run === undefined ? {} : { runId: this.#run.run.runId }),
      createdAt,
      updatedAt,
      ...this.#options.agent.describe(),
    }
  }

  /** Ends the open run as `cancelled` and the agent's process. Idempotent. */
  async close(): Promise<void> {
    this.#closed = true
    this.#run?.run.stop()
    await this.#run?.ended
    await this.#options.agent.close()
  }

  /** Together with RUN_STARTED, in one commit: either the run is known and in the log, or neither. */
  async #opened(run: Run): Promise<void> {
    const { threads } = this.#options
    const after = this.#options.log.head(this.threadId)
    const { memory } = this.#options.agent
    this.#facts = { ...this.#facts, openRun: { runId: run.runId, after }, updatedAt: Date.now(), memory }
    await Promise.all([threads.addRun(this.threadId, run.runId), threads.put(this.threadId, this.#facts)])
  }

  async #settled(end: RunEnd, digests: [string, string][]): Promise<void> {
    const { threads, agent } = this.#options
    const { openRun: _closed, ...facts } = this.#facts
    this.#facts = { ...facts, lastOutcome: end.outcome, updatedAt: Date.now(), memory: agent.memory }
    const last = digests.at(-1)
    // A failed run's messages are forgotten: a client that retries sends the same ones with a new runId.
    if (end.outcome !== 'error' && last !== undefined) {
      this.#facts.lastUserMessageId = last[0]
      await threads.addMessages(this.threadId, digests)
    }
    await threads.put(this.threadId, this.#facts)
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
