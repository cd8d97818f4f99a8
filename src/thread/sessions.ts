import type { RunAgentInput } from '@ag-ui/core'
import type { Agent } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { Blobs } from '../storage/lmdb/blobs.ts'
import { Oversize } from './oversize.ts'
import type { RunLimits } from './run.ts'
import {
  type Accepted,
  Session,
  type SessionDescription,
  type SessionOptions,
  type Submitted,
} from './session.ts'
import type { ThreadFacts, Threads } from './threads.ts'

export interface SessionsOptions extends RunLimits {
  agent: Agent
  log: EventLog
  threads: Threads
  blobs: Blobs
  redactor: Redactor
  eventBytesMax: number
  threadsMax: number
  queueMax: number
  onRunEnding?: SessionOptions['onRunEnding']
  onRunEnded: SessionOptions['onRunEnded']
  onLogFailure(error: unknown): void
}

/** Every thread this runner knows. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #sessions = new Map<string, Session>()
  readonly #waiting = new Set<() => void>()
  #closing: Promise<void> | undefined

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /** Brings back the threads of an earlier process and closes the runs it left open. Call once, before serving. */
  async recover(): Promise<void> {
    for (const [threadId, facts] of this.#options.threads.all()) {
      const session = this.#create(threadId, facts)
      await session.recover()
    }
  }

  /** Goes on with what was queued before a restart. */
  resume(): void {
    for (const session of this.#sessions.values()) session.next()
  }

  /** Admits a run; the thread is made on first use. */
  async submit(input: RunAgentInput): Promise<Submitted> {
    return await this.#use(input.threadId, (session) => session.submit(input))
  }

  /** Takes in a user message; the thread is made on first use. @throws {RunnerError} as `Session.post`, and `open`. */
  async post(threadId: string, content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    return await this.#use(threadId, (session) => session.post(content, delivery))
  }

  /** The model of later runs; the thread is made on first use. Returns the one before. */
  async setModel(threadId: string, model: string): Promise<string | undefined> {
    return await this.#use(threadId, (session) => session.setModel(model))
  }

  /** @throws {RunnerError} `too_many_threads`, `shutting_down`. */
  open(threadId: string): Session {
    const known = this.#sessions.get(threadId)
    if (known !== undefined) return known
    if (this.#closing !== undefined) throw new RunnerError('shutting_down', 'The runner is stopping.')
    if (this.#sessions.size >= this.#options.threadsMax) {
      throw new RunnerError(
        'too_many_threads',
        `THREADS_MAX (${this.#options.threadsMax}) threads are known already; delete one, or raise the limit.`,
      )
    }
    const now = Date.now()
    return this.#create(threadId, {
      createdAt: now,
      updatedAt: now,
      lastOutcome: 'none',
      usage: [],
      queue: [],
      memory: {},
    })
  }

  find(threadId: string): Session | undefined {
    return this.#sessions.get(threadId)
  }

  /** Resolves when the thread is there, or when `signal` is aborted. */
  async known(threadId: string, signal: AbortSignal): Promise<void> {
    while (!this.#sessions.has(threadId) && !signal.aborted) {
      await new Promise<void>((resolve) => {
        const done = (): void => {
          signal.removeEventListener('abort', done)
          this.#waiting.delete(done)
          resolve()
        }
        this.#waiting.add(done)
        signal.addEventListener('abort', done, { once: true })
      })
    }
  }

  /** @throws {RunnerError} `not_found`. */
  get(threadId: string): Session {
    const session = this.#sessions.get(threadId)
    if (session === undefined) throw new RunnerError('not_found', `No thread "${threadId}" is known here.`)
    return session
  }

  list(): SessionDescription[] {
    return [...this.#sessions.values()].map((session) => session.describe())
  }

  /** Stops the thread and forgets it, its log included. */
  async delete(threadId: string): Promise<void> {
    const session = this.get(threadId)
    await session.close()
    this.#sessions.delete(threadId)
    const { log, threads, blobs } = this.#options
    // The log first: facts without records are a new thread, records without facts would come back with the id.
    await log.drop(threadId)
    await Promise.all([threads.drop(threadId), blobs.drop(threadId)])
  }

  /** Ends every run as `cancelled` and every process. */
  close(): Promise<void> {
    this.#closing ??= Promise.all([...this.#sessions.values()].map((session) => session.close())).then(
      () => {},
    )
    return this.#closing
  }

  /** What is refused leaves no thread behind, else rubbish would fill the table. */
  async #use<T>(threadId: string, use: (session: Session) => Promise<T>): Promise<T> {
    const isKnown = this.#sessions.has(threadId)
    const session = this.open(threadId)
    try {
      return await use(session)
    } catch (error) {
      if (!isKnown && session.pristine && this.#sessions.delete(threadId)) await session.close()
      throw error
    }
  }

  #create(threadId: string, facts: ThreadFacts): Session {
    const agent = this.#options.agent.open(threadId, facts.memory)
    const { blobs, eventBytesMax } = this.#options
    const oversize = new Oversize({
      eventBytesMax,
      keep: (blob) => blobs.add(threadId, blob),
      urlOf: (id) => `/sessions/${encodeURIComponent(threadId)}/blobs/${id}`,
    })
    const session = new Session({ ...this.#options, threadId, facts, agent, oversize })
    this.#sessions.set(threadId, session)
    for (const tell of [...this.#waiting]) tell()
    return session
  }
}
