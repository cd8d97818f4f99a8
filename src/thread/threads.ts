import type { Agent, RunRequest } from '../agent/agent.ts'
import { inBackground } from '../background.ts'
import { backgroundFailed } from '../channels.ts'
import { isCode, RunnerError } from '../errors.ts'
import type { Redactor } from '../redaction/redactor.ts'
import type { Storage } from '../storage/storage.ts'
import { Arrivals } from './arrivals.ts'
import { LOST, RESTARTED } from './cut-run.ts'
import { Departures } from './departures.ts'
import { blobUrl } from './kept-media.ts'
import { Oversize } from './oversize.ts'
import { type QueueLimits, Queues } from './queue.ts'
import type { RunLimits } from './run.ts'
import { StoredThreads, type ThreadView } from './stored-threads.ts'
import type { Accepted, Submitted } from './submitted.ts'
import { Thread } from './thread.ts'
import type { ThreadDescription } from './thread-description.ts'
import type { ThreadOptions } from './thread-options.ts'
import { type StoredThread, type ThreadFacts, ThreadTable } from './thread-table.ts'
import { ThreadWriter } from './thread-writer.ts'

export interface ThreadsOptions extends RunLimits, QueueLimits {
  agent: Agent
  storage: Storage
  redactor: Redactor
  eventBytesMax: number
  threadsMax: number
  /** How long the sender of a run that ends with its stream may be absent, in milliseconds. */
  disconnectGraceMs: number
  onRunEnding?: ThreadOptions['onRunEnding']
  onRunEnded: ThreadOptions['onRunEnded']
  onLogFailure(error: unknown): void
}

/** Every thread of this runner. An id has one life at a time: every operation waits for a deletion in progress. */
export class Threads {
  readonly #options: ThreadsOptions
  readonly #table: ThreadTable
  readonly #queues: Queues
  readonly #threads = new Map<string, Thread>()
  readonly #deletions = new Map<string, Promise<void>>()
  /** By thread that was created for a request: the number of requests that use it. */
  readonly #guests = new Map<Thread, number>()
  readonly #arrivals = new Arrivals()
  readonly #departures: Departures
  /** Threads that are being claimed and restored. */
  readonly #openings = new Map<string, Promise<Thread>>()
  readonly #stored: StoredThreads
  #closing: Promise<void> | undefined

  constructor(options: ThreadsOptions) {
    this.#options = options
    this.#table = new ThreadTable(options.storage)
    this.#queues = new Queues(options)
    this.#departures = new Departures({
      graceMs: options.disconnectGraceMs,
      withdraw: async (threadId, runId) => await this.#threads.get(threadId)?.withdraw(runId),
    })
    this.#stored = new StoredThreads(options.storage, (memory) => options.agent.look(memory))
  }

  /** Restores the threads of an earlier process, ends its open runs and completes its deletions. Call once, before serving. */
  async recover(): Promise<void> {
    const { storage } = this.#options
    storage.tenancy.watch({
      onLapsed: (threadId) => this.#threads.get(threadId)?.cutRun(lapsed()),
      onLost: (threadId) => this.#abandon(threadId),
      onFollowed: (threadId) =>
        inBackground({ name: 'ending a lost run', threadId }, this.#stored.sweep(threadId)),
    })
    for (const stored of await this.#table.all()) {
      try {
        await this.#bringBack(stored)
      } catch (error) {
        // The thread stays as it is. Requests for it are refused, and the others are served.
        if (!isCode(error, 'storage_damaged')) throw error
        backgroundFailed.publish({ name: 'bringing back a thread', threadId: stored.threadId, error })
      }
    }
  }

  async #bringBack({ threadId, read }: StoredThread): Promise<void> {
    if (!(await this.#isOurs(threadId))) return
    await this.#orRelease(threadId, async () => {
      const facts = read()
      if (facts === undefined) await this.#options.storage.drop(threadId)
      else await (await this.#restore(threadId, facts)).closeCut(RESTARTED)
    })
  }

  /** Runs `work` on a claimed thread, and releases the claim when it fails. */
  async #orRelease<T>(threadId: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (!this.#threads.has(threadId)) await this.#options.storage.tenancy.release(threadId)
      throw error
    }
  }

  /** Claims a thread that was this runner's before. Returns false when another runner has taken it since. */
  async #isOurs(threadId: string): Promise<boolean> {
    const { tenancy } = this.#options.storage
    if (!(await tenancy.wasOurs(threadId))) return false
    try {
      await tenancy.claim(threadId)
      return true
    } catch (error) {
      if (isCode(error, 'elsewhere')) return false
      throw error
    }
  }

  /** Continues the queues that were stored before a restart. */
  resume(): void {
    for (const thread of this.#threads.values()) thread.next()
  }

  /** Admits a run and creates its thread on first use. As `Thread.submit`, and `too_many_threads`. */
  async submit(input: RunRequest): Promise<Submitted> {
    await this.#departures.settle(input.threadId)
    return await this.#admit(input.threadId, (thread) => thread.submit(input))
  }

  /** Puts a user message into the thread. As `Thread.post`, and `too_many_threads`. */
  post(threadId: string, content: unknown, delivery: 'steer' | 'queue'): Promise<Accepted> {
    return this.#admit(threadId, (thread) => thread.post(content, delivery))
  }

  /** Notes that the sender of a run that ends with its stream has closed the stream. */
  leave(threadId: string, runId: string): void {
    this.#departures.leave(threadId, runId)
  }

  /** Notes that a client reads the thread. If its sender has just left, the run continues. */
  return(threadId: string): void {
    this.#departures.return(threadId)
  }

  /** Sets the model of later runs. Returns the model before. @throws {RunnerError} `too_many_threads`, `shutting_down`. */
  setModel(threadId: string, model: string): Promise<string | undefined> {
    return this.#admit(threadId, (thread) => thread.setModel(model))
  }

  /** Starts the thread's agent before its first run. */
  async warm(threadId: string): Promise<void> {
    await this.settled(threadId)
    await (await this.#open(threadId)).agent.warm()
  }

  /** Returns the thread if it lives here. */
  async find(threadId: string): Promise<Thread | undefined> {
    await this.settled(threadId)
    return this.#threads.get(threadId)
  }

  /** Returns the thread for a change, and claims it if no runner has it. @throws {RunnerError} `not_found`, `elsewhere`. */
  async get(threadId: string): Promise<Thread> {
    const thread = await this.find(threadId)
    if (thread !== undefined) return thread
    if (!(await this.#stored.has(threadId))) throw unknown(threadId)
    return await this.#open(threadId)
  }

  /** Returns one thread, wherever it lives. @throws {RunnerError} `not_found`. */
  async view(threadId: string): Promise<ThreadView> {
    await this.settled(threadId)
    const thread = this.#threads.get(threadId)
    const view = thread === undefined ? await this.#stored.view(threadId) : viewOf(thread)
    if (view === undefined) throw unknown(threadId)
    return view
  }

  /** Returns every thread, wherever it lives. */
  async all(): Promise<ThreadView[]> {
    const here = this.list()
    const known = new Set(here.map(({ threadId }) => threadId))
    const others = await this.#stored.all((threadId) => known.has(threadId))
    return [...here, ...others]
  }

  /** Resolves when no deletion of this thread is in progress. A deletion takes at most as long as the stop ladder. */
  async settled(threadId: string): Promise<void> {
    for (;;) {
      const deletion = this.#deletions.get(threadId)
      if (deletion === undefined) return
      // The deletion's own caller learns whether it failed.
      await deletion.catch(() => undefined)
    }
  }

  /** Resolves when the thread exists, or when `signal` is aborted. */
  async arrived(threadId: string, signal: AbortSignal): Promise<void> {
    await this.settled(threadId)
    if (await this.#stored.has(threadId)) return
    const isHere = (): boolean => this.#threads.has(threadId)
    const elsewhere = (looking: AbortSignal): Promise<void> => this.#stored.arrived(threadId, looking)
    await this.#arrivals.of({ isHere, elsewhere }, signal)
  }

  list(): ThreadDescription[] {
    return [...this.#threads.values()].map((thread) => thread.describe())
  }

  /**
   * Stops the thread and deletes it with its log, even when it cannot be read. A second call during a deletion joins it.
   *
   * @throws {RunnerError} `not_found`, `elsewhere`.
   */
  async delete(threadId: string): Promise<void> {
    // For a thread that lives here nothing is awaited first: from this turn on every operation waits for the deletion.
    const isReadable = this.#isHere(threadId) || (await this.#isReadable(threadId))
    const underWay = this.#deletions.get(threadId)
    if (underWay !== undefined) return await underWay
    const thread = this.#threads.get(threadId)
    if (thread === undefined && isReadable) return await this.delete(threadId)
    // After this the store is closed.
    if (this.#closing !== undefined) throw new RunnerError('shutting_down', 'The runner is stopping.')
    const deletion = this.#delete(threadId, thread).finally(() => this.#deletions.delete(threadId))
    this.#deletions.set(threadId, deletion)
    await deletion
  }

  /** Ends every run as `cancelled`, and every process. */
  close(): Promise<void> {
    this.#departures.close()
    this.#closing ??= (async () => {
      await Promise.all([...this.#threads.values()].map((thread) => thread.close()))
      await Promise.allSettled(this.#deletions.values())
    })()
    return this.#closing
  }

  #isHere(threadId: string): boolean {
    return this.#threads.has(threadId) || this.#deletions.has(threadId)
  }

  /** Claims and restores the thread. Returns whether it can be read. @throws {RunnerError} `not_found`, `elsewhere`. */
  async #isReadable(threadId: string): Promise<boolean> {
    try {
      await this.get(threadId)
      return true
    } catch (error) {
      if (isCode(error, 'storage_damaged')) return false
      throw error
    }
  }

  /** Deletes the thread. It keeps its place until its last record is gone, so that no new thread comes between. */
  async #delete(threadId: string, thread: Thread | undefined): Promise<void> {
    if (thread === undefined) await this.#options.storage.tenancy.claim(threadId)
    await thread?.close()
    try {
      await this.#table.bury(threadId)
    } catch (error) {
      // The deletion failed and lost nothing: the thread is as before and can be deleted again.
      const facts = thread === undefined ? undefined : await this.#table.get(threadId)
      if (facts !== undefined) await this.#restore(threadId, facts)
      throw error
    }
    await this.#options.storage.drop(threadId)
    this.#threads.delete(threadId)
  }

  /** Runs `work`. A thread that was created for refused work is removed again, or refused requests would fill the table. */
  async #admit<T>(threadId: string, work: (thread: Thread) => Promise<T>): Promise<T> {
    await this.settled(threadId)
    const isKnown = this.#threads.has(threadId)
    const thread = await this.#open(threadId)
    const others = this.#guests.get(thread)
    const isGuest = !isKnown || others !== undefined
    if (isGuest) this.#guests.set(thread, (others ?? 0) + 1)
    try {
      return await work(thread)
    } catch (error) {
      const isAlone = this.#guests.get(thread) === 1 && this.#threads.get(threadId) === thread
      if (isAlone && thread.pristine && !this.#deletions.has(threadId)) await this.#forget(threadId, thread)
      throw error
    } finally {
      if (isGuest) this.#dismiss(thread)
    }
  }

  #dismiss(thread: Thread): void {
    const others = (this.#guests.get(thread) ?? 1) - 1
    if (others === 0) this.#guests.delete(thread)
    else this.#guests.set(thread, others)
  }

  async #forget(threadId: string, thread: Thread): Promise<void> {
    const { tenancy } = this.#options.storage
    const leaving = thread
      .close()
      .then(() => tenancy.release(threadId))
      .finally(() => this.#deletions.delete(threadId))
    this.#threads.delete(threadId)
    this.#deletions.set(threadId, leaving)
    await leaving
  }

  /** Stops the thread here without writing, because another runner continues it. */
  #abandon(threadId: string): void {
    const thread = this.#threads.get(threadId)
    if (thread === undefined) return
    this.#threads.delete(threadId)
    inBackground({ name: 'leaving a thread to another runner', threadId }, thread.close())
  }

  /** @throws {RunnerError} `too_many_threads`, `shutting_down`, `elsewhere`. */
  #open(threadId: string): Promise<Thread> {
    const known = this.#threads.get(threadId)
    if (known !== undefined) return Promise.resolve(known)
    const underWay = this.#openings.get(threadId)
    if (underWay !== undefined) return underWay
    const opening = this.#takeOn(threadId).finally(() => this.#openings.delete(threadId))
    this.#openings.set(threadId, opening)
    return opening
  }

  /** Claims a thread that no runner has: a new one, or one that another runner left. */
  async #takeOn(threadId: string): Promise<Thread> {
    this.#checkNumber()
    await this.#options.storage.tenancy.claim(threadId)
    return await this.#orRelease(threadId, async () => await this.#bring(threadId))
  }

  async #bring(threadId: string): Promise<Thread> {
    const facts = await this.#table.get(threadId)
    this.#checkNumber()
    if (facts !== undefined) {
      const thread = await this.#restore(threadId, facts)
      await thread.closeCut(LOST)
      thread.next()
      return thread
    }
    const now = Date.now()
    const fresh: ThreadFacts = { createdAt: now, updatedAt: now, lastOutcome: 'none', usage: [], memory: {} }
    return this.#create(threadId, fresh, { head: 0, queued: [] })
  }

  #checkNumber(): void {
    const { threadsMax } = this.#options
    if (this.#closing !== undefined) throw new RunnerError('shutting_down', 'The runner is stopping.')
    if (this.#threads.size >= threadsMax) {
      throw new RunnerError(
        'too_many_threads',
        `THREADS_MAX (${threadsMax}) threads are known already; delete one, or raise the limit.`,
      )
    }
  }

  /** Restores a thread from the store. */
  async #restore(threadId: string, facts: ThreadFacts): Promise<Thread> {
    const [head, queued] = await Promise.all([
      this.#options.storage.log.head(threadId),
      this.#queues.stored(threadId),
    ])
    return this.#create(threadId, facts, { head, queued })
  }

  #create(
    threadId: string,
    facts: ThreadFacts,
    { head, queued }: { head: number; queued: Awaited<ReturnType<Queues['stored']>> },
  ): Thread {
    const { storage, eventBytesMax } = this.#options
    const agent = this.#options.agent.open(threadId, facts.memory)
    const writer = new ThreadWriter(storage, { threadId, head })
    const oversize = new Oversize({
      eventBytesMax,
      keep: (blob) => writer.keep(blob),
      urlOf: (id) => blobUrl(threadId, id),
    })
    const queue = this.#queues.open(writer, queued)
    const { log, blobs } = storage
    const table = this.#table
    const thread = new Thread({ ...this.#options, log, blobs, table, writer, facts, agent, oversize, queue })
    this.#threads.set(threadId, thread)
    this.#arrivals.wake()
    return thread
  }
}

function viewOf(thread: Thread): ThreadView {
  const { runningAfter } = thread
  return { ...thread.describe(), ...(runningAfter === undefined ? {} : { runningAfter }) }
}

function lapsed(): RunnerError {
  const message =
    'The store could not be reached for longer than THREAD_LEASE_MS: another runner may go on with this thread.'
  return new RunnerError('lease_lost', message)
}

function unknown(threadId: string): RunnerError {
  return new RunnerError('not_found', `No thread "${threadId}" is known here.`)
}
