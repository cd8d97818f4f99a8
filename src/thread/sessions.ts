import type { RunAgentInput } from '@ag-ui/core'
import type { Agent } from '../agent/agent.ts'
import { RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { EventLog } from '../storage/event-log.ts'
import type { Blobs } from '../storage/lmdb/blobs.ts'
import { Oversize } from './oversize.ts'
import type { Queues } from './queue.ts'
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
  queues: Queues
  threadsMax: number
  onRunEnding?: SessionOptions['onRunEnding']
  onRunEnded: SessionOptions['onRunEnded']
  onLogFailure(error: unknown): void
}

/** Every thread this runner knows. An id has one life at a time: a deletion under way is waited for at every door. */
export class Sessions {
  readonly #options: SessionsOptions
  readonly #sessions = new Map<string, Session>()
  readonly #deletions = new Map<string, Promise<void>>()
  /** How many are at work on a thread that was made for one of them. */
  readonly #guests = new Map<Session, number>()
  readonly #waiting = new Set<() => void>()
  #closing: Promise<void> | undefined

  constructor(options: SessionsOptions) {
    this.#options = options
  }

  /**
   * Brings back the threads of an earlier process, closes the runs it left open and goes on with its deletions. Call
   * once, before serving.
   */
  async recover(): Promise<void> {
    for (const [threadId, facts] of this.#options.threads.all()) {
      if (facts === undefined) await this.#clear(threadId)
      else await this.#create(threadId, facts).recover()
    }
  }

  /** Goes on with what was queued before a restart. */
  resume(): void {
    for (const session of this.#sessions.values()) session.next()
  }

  /** Admits a run; the thread is made on first use. As `Session.submit`, and `too_many_threads`. */
  submit(input: RunAgentInput): Promise<Submitted> {
    return this.#admit(input.threadId, (session) => session.submit(input))
  }

  /** Puts a user message into the thread. As `Session.post`, and `too_many_threads`. */
  post(threadId: string, content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    return this.#admit(threadId, (session) => session.post(content, delivery))
  }

  /** The model of later runs. Returns the one before. @throws {RunnerError} `too_many_threads`, `shutting_down`. */
  setModel(threadId: string, model: string): Promise<string | undefined> {
    return this.#admit(threadId, (session) => session.setModel(model))
  }

  /** Starts the thread's agent ahead of its first run. */
  async warm(threadId: string): Promise<void> {
    await this.settled(threadId)
    await this.#open(threadId).warm()
  }

  async find(threadId: string): Promise<Session | undefined> {
    await this.settled(threadId)
    return this.#sessions.get(threadId)
  }

  /** @throws {RunnerError} `not_found`. */
  async get(threadId: string): Promise<Session> {
    const session = await this.find(threadId)
    if (session === undefined) throw unknown(threadId)
    return session
  }

  /** Resolves when no deletion of this thread is under way. Bounded by what a deletion takes, the stop ladder. */
  async settled(threadId: string): Promise<void> {
    for (;;) {
      const deletion = this.#deletions.get(threadId)
      if (deletion === undefined) return
      // Whether it worked is told to whoever asked for it.
      await deletion.catch(() => undefined)
    }
  }

  /** Resolves when the thread is there, or when `signal` is aborted. */
  async known(threadId: string, signal: AbortSignal): Promise<void> {
    await this.settled(threadId)
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

  list(): SessionDescription[] {
    return [...this.#sessions.values()].map((session) => session.describe())
  }

  /**
   * Stops the thread and forgets it, its log included. A second call while that goes on is the same deletion.
   *
   * @throws {RunnerError} `not_found`.
   */
  async delete(threadId: string): Promise<void> {
    const underWay = this.#deletions.get(threadId)
    if (underWay !== undefined) return await underWay
    const session = this.#sessions.get(threadId)
    if (session === undefined) throw unknown(threadId)
    // The store is closed next.
    if (this.#closing !== undefined) throw new RunnerError('shutting_down', 'The runner is stopping.')
    const deletion = this.#delete(threadId, session).finally(() => this.#deletions.delete(threadId))
    this.#deletions.set(threadId, deletion)
    await deletion
  }

  /** Ends every run as `cancelled` and every process. */
  close(): Promise<void> {
    this.#closing ??= (async () => {
      await Promise.all([...this.#sessions.values()].map((session) => session.close()))
      await Promise.allSettled(this.#deletions.values())
    })()
    return this.#closing
  }

  /** Until the last of it is gone the thread keeps its place, so that nothing new comes between. */
  async #delete(threadId: string, session: Session): Promise<void> {
    const { threads } = this.#options
    await session.close()
    try {
      await threads.bury(threadId)
    } catch (error) {
      // Nothing of it is lost: it is there as before, and can be deleted again.
      const facts = threads.get(threadId)
      if (facts !== undefined) this.#create(threadId, facts)
      throw error
    }
    await this.#clear(threadId)
    this.#sessions.delete(threadId)
  }

  async #clear(threadId: string): Promise<void> {
    const { log, threads, blobs, queues } = this.#options
    await Promise.all([log.drop(threadId), blobs.drop(threadId), queues.drop(threadId)])
    await threads.drop(threadId)
  }

  /** A thread that was made for what is then refused goes again, else rubbish would fill the table. */
  async #admit<T>(threadId: string, work: (session: Session) => Promise<T>): Promise<T> {
    await this.settled(threadId)
    const isKnown = this.#sessions.has(threadId)
    const session = this.#open(threadId)
    const others = this.#guests.get(session)
    const isGuest = !isKnown || others !== undefined
    if (isGuest) this.#guests.set(session, (others ?? 0) + 1)
    try {
      return await work(session)
    } catch (error) {
      const isAlone = this.#guests.get(session) === 1 && this.#sessions.get(threadId) === session
      if (isAlone && session.pristine && !this.#deletions.has(threadId)) await this.#forget(threadId, session)
      throw error
    } finally {
      if (isGuest) this.#leave(session)
    }
  }

  #leave(session: Session): void {
    const others = (this.#guests.get(session) ?? 1) - 1
    if (others === 0) this.#guests.delete(session)
    else this.#guests.set(session, others)
  }

  async #forget(threadId: string, session: Session): Promise<void> {
    this.#sessions.delete(threadId)
    await session.close()
  }

  /** @throws {RunnerError} `too_many_threads`, `shutting_down`. */
  #open(threadId: string): Session {
    const known = this.#sessions.get(threadId)
    if (known !== undefined) return known
    const { threadsMax } = this.#options
    if (this.#closing !== undefined) throw new RunnerError('shutting_down', 'The runner is stopping.')
    if (this.#sessions.size >= threadsMax) {
      throw new RunnerError(
        'too_many_threads',
        `THREADS_MAX (${threadsMax}) threads are known already; delete one, or raise the limit.`,
      )
    }
    const now = Date.now()
    return this.#create(threadId, {
      createdAt: now,
      updatedAt: now,
      lastOutcome: 'none',
      usage: [],
      memory: {},
    })
  }

  #create(threadId: string, facts: ThreadFacts): Session {
    const agent = this.#options.agent.open(threadId, facts.memory)
    const { blobs, eventBytesMax } = this.#options
    const oversize = new Oversize({
      eventBytesMax,
      keep: (blob) => blobs.add(threadId, blob),
      urlOf: (id) => `/sessions/${encodeURIComponent(threadId)}/blobs/${id}`,
    })
    const queue = this.#options.queues.open(threadId)
    const session = new Session({ ...this.#options, threadId, facts, agent, oversize, queue })
    this.#sessions.set(threadId, session)
    for (const tell of [...this.#waiting]) tell()
    return session
  }
}

function unknown(threadId: string): RunnerError {
  return new RunnerError('not_found', `No thread "${threadId}" is known here.`)
}
