import type { RunRequest } from '../agent/agent.ts'
import type { AguiEvent } from '../agui/event.ts'
import { isCode, RunnerError } from '../errors.ts'
import { answered } from '../storage/answered.ts'
import type { Storage } from '../storage/storage.ts'
import type { Table, Write } from '../storage/table.ts'
import type { Digests } from './digests.ts'
import {
  damaged,
  type EntryHead,
  encodeEntry,
  parseHead,
  parseRequest,
  type StoredRun,
} from './queue-entry.ts'
import { steeredId } from './steered-ids.ts'
import { putMessages, putRun } from './thread-table.ts'
import type { ThreadWriter } from './thread-writer.ts'

/** A run that waits for the run before it. Its client may have left. */
export interface QueuedRun {
  /** The request with only the messages that are new to the thread. */
  request: RunRequest
  digests: Digests
  /** Other parts of the input that have no effect, in words. */
  skipped: readonly string[]
}

/** A queued run without its messages, which may be large and stay in the store. */
export interface Waiting {
  readonly runId: string
  /** The ids of the messages that no turn has taken in yet. */
  messageIds: string[]
  readonly digests: QueuedRun['digests']
  readonly skipped: QueuedRun['skipped']
  /** The first line of its messages, redacted. */
  readonly words: string
  /** Whether the running turn was given the messages and may take them in. */
  isSteered: boolean
  /** Whether a person withdrew the run: at its turn it ends as cancelled, and its messages never reach the agent. */
  isWithdrawn: boolean
}

export interface QueueLimits {
  /** Upper bound of the queued runs of one thread. */
  queueMax: number
  /** Upper bound of their JSON together, in bytes. */
  queueBytesMax: number
}

interface Entry extends Waiting {
  place: number
  bytes: number
  /** Whether its removal is being written. */
  isLeaving: boolean
  /** Settles when the entry is in the store. */
  written: Promise<unknown>
}

/** The queues of all threads. Each entry is a record of its own, so that adding one costs only its own length. */
export class Queues {
  readonly #table: Table<Buffer>
  readonly #limits: QueueLimits

  constructor({ storage, queueMax, queueBytesMax }: QueueLimits & { storage: Storage }) {
    this.#table = storage.tables.queue
    this.#limits = { queueMax, queueBytesMax }
  }

  /** Returns the entries of a thread that an earlier process left. */
  stored(threadId: string): Promise<readonly StoredRun[]> {
    return this.#table.entries(threadId)
  }

  /** @throws {RunnerError} `storage_damaged` when this version did not write a stored entry. */
  open(writer: ThreadWriter, stored: readonly StoredRun[]): Queue {
    return new Queue(stored, { ...this.#limits, table: this.#table, writer })
  }
}

interface QueueOptions extends QueueLimits {
  table: Table<Buffer>
  writer: ThreadWriter
}

/** The queued runs of one thread, oldest first. Each waits for the current run to end, or to be taken into its turn. */
export class Queue {
  readonly #options: QueueOptions
  #entries: Entry[] = []
  /** Entries that were taken in, whole or in part, since `forgetTaken`. The store still has all of them. */
  readonly #taken = new Set<Entry>()
  #next = 1

  constructor(stored: readonly StoredRun[], options: QueueOptions) {
    this.#options = options
    for (const each of stored) {
      const { key, value } = each
      const place = Number(key[1])
      const head = parseHead(each)
      const entry = { ...head, isSteered: false, isLeaving: false, place, bytes: value?.length ?? 0 }
      this.#entries.push({ ...entry, written: Promise.resolve() })
      this.#next = place + 1
    }
  }

  get waiting(): readonly Waiting[] {
    return this.#entries
  }

  /**
   * Adds a run, which counts as queued at once. Resolves when it is on disk.
   *
   * @throws {RunnerError} `queue_full`, `storage_full`.
   */
  async add({ request, digests, skipped }: QueuedRun, words = ''): Promise<Waiting> {
    const { writer, queueMax, queueBytesMax } = this.#options
    const messageIds = request.messages.filter(({ role }) => role === 'user').map(({ id }) => id)
    const head = { runId: request.runId, messageIds, digests, skipped, words, isWithdrawn: false }
    const stored = encodeEntry(head, request)
    if (this.#entries.filter(({ isWithdrawn }) => !isWithdrawn).length >= queueMax)
      throw new RunnerError('queue_full', `QUEUE_MAX (${queueMax}) messages wait on this thread already.`)
    const bytes = this.#entries.reduce((sum, entry) => sum + entry.bytes, stored.length)
    if (bytes > queueBytesMax) {
      const message = `The messages that wait on this thread would be ${bytes} bytes, more than QUEUE_BYTES_MAX (${queueBytesMax}); wait for one to run.`
      throw new RunnerError('queue_full', message)
    }
    const place = this.#next++
    const written = writer.commit({ writes: [this.#write(place, stored)] })
    const entry = { ...head, isSteered: false, isLeaving: false, place, bytes: stored.length, written }
    this.#entries.push(entry)
    try {
      await written
      await writer.flushed()
    } catch (error) {
      this.leave(entry)
      throw error
    }
    return entry
  }

  has(entry: Waiting): boolean {
    return this.#entries.some((each) => each === entry)
  }

  /** @throws {RunnerError} `storage_damaged` when the stored entry is missing or this version did not write it. */
  async read(waiting: Waiting): Promise<QueuedRun> {
    const entry = this.#entries.find((each) => each === waiting)
    if (entry === undefined) throw new Error(`The run "${waiting.runId}" does not wait.`)
    return await this.#read(entry)
  }

  /** Returns the writes for the commit that starts the run. Call `leave` after it, or `stay` when it failed. */
  removal(waiting: Waiting): Write[] {
    const entry = this.#entries.find((each) => each === waiting)
    if (entry === undefined) return []
    entry.isLeaving = true
    return [this.#write(entry.place, undefined)]
  }

  /** Keeps the entry, because its removal was not written. */
  stay(waiting: Waiting): void {
    const entry = this.#entries.find((each) => each === waiting)
    if (entry !== undefined) entry.isLeaving = false
  }

  /**
   * Removes a run whose sender has left, if no turn was given it. Unlike with `withdraw`, its messages stay unknown, so that
   * the sender's next history brings them again. Resolves when the store no longer has it.
   *
   * @throws {RunnerError} `storage_full`.
   */
  async remove(runId: string): Promise<void> {
    const { writer } = this.#options
    const waiting = this.#entries.find((entry) => entry.runId === runId && !entry.isSteered)
    if (waiting === undefined) return
    const writes = this.removal(waiting)
    this.leave(waiting)
    await writer.commit({ writes })
    await writer.flushed()
  }

  /**
   * Withdraws a queued run for a person. It keeps its place in the queue, so that its end gets a place in the log. Resolves
   * when the withdrawal is on disk.
   *
   * @throws {RunnerError} `not_found`, `storage_full`, `storage_damaged`.
   */
  async withdraw(runId: string): Promise<void> {
    const { writer } = this.#options
    const { request, digests, skipped } = await this.#read(this.#removable(runId))
    const entry = this.#removable(runId)
    const { messageIds, bytes, words } = entry
    const head = { runId, messageIds: [], digests, skipped, words, isWithdrawn: true }
    const stored = encodeEntry(head, { ...request, messages: [] })
    Object.assign(entry, { messageIds: [], isWithdrawn: true, bytes: stored.length })
    entry.written = writer.commit({ writes: [this.#write(entry.place, stored)], isLast: true })
    try {
      await entry.written
      await writer.flushed()
    } catch (error) {
      Object.assign(entry, { messageIds, isWithdrawn: false, bytes })
      throw error
    }
  }

  /**
   * Changes the order of the queued runs. Resolves when it is on disk.
   *
   * @throws {RunnerError} `queue_changed` when these are not the queued runs; `storage_full`, `storage_damaged`.
   */
  async order(runIds: readonly string[]): Promise<void> {
    const { table, writer } = this.#options
    const moved = this.#inOrder(runIds)
    await Promise.all(moved.map(({ written }) => written))
    const values = await Promise.all(moved.map(({ place }) => table.get([writer.threadId, place])))
    // A run that began or was taken in meanwhile is not put back.
    if (this.#inOrder(runIds).some((entry, at) => entry !== moved[at])) throw changed(this.#open)
    const places = moved.map(({ place }) => place)
    const sorted = places.toSorted((one, other) => one - other)
    const writes = moved.map((entry, at) => {
      entry.place = sorted[at] ?? entry.place
      return this.#write(entry.place, values[at])
    })
    this.#sort()
    const written = writer.commit({ writes, isLast: true })
    for (const entry of moved) entry.written = written
    try {
      await written
      await writer.flushed()
    } catch (error) {
      moved.forEach((entry, at) => {
        entry.place = places[at] ?? entry.place
      })
      this.#sort()
      throw error
    }
  }

  /** Ends a queued run before it began. `events` describe the end; `known` are the messages that count as known then. */
  async end(waiting: Waiting, events: readonly AguiEvent[], known: QueuedRun['digests'] = []): Promise<void> {
    const { writer } = this.#options
    const { runId } = waiting
    const { threadId } = writer
    const writes = [...this.removal(waiting), putRun(threadId, runId), ...putMessages(threadId, known)]
    await writer.commit({ append: { runId, events: [...events] }, writes })
    this.leave(waiting)
    await writer.flushed()
  }

  /** Removes the entry from the queue. */
  leave(waiting: Waiting): void {
    this.#entries = this.#entries.filter((each) => each !== waiting)
  }

  /**
   * Notes that a turn has taken in the message that the log shows under this id. Returns the message's id and digests, and
   * undefined for a message that was not queued.
   */
  takeIn(shownId: string): QueuedRun['digests'][number] | undefined {
    for (const entry of this.#entries) {
      const id = entry.messageIds.find((each) => each === shownId || steeredId(each) === shownId)
      if (id === undefined) continue
      entry.messageIds = entry.messageIds.filter((each) => each !== id)
      this.#taken.add(entry)
      if (entry.messageIds.length === 0) this.leave(entry)
      return entry.digests.find(([each]) => each === id)
    }
    return undefined
  }

  /**
   * Returns the writes that remove taken-in messages from the store, for the commit of the run's end: from then on the log
   * holds them for good. Call `forgetTaken` after it. A runner that was killed before finds them in the log of the cut
   * run.
   */
  async takenWrites(): Promise<Write[]> {
    return await Promise.all(
      [...this.#taken].map(async (entry) => {
        if (!this.has(entry)) return this.#write(entry.place, undefined)
        try {
          const { request, digests, skipped } = await answered(() => this.#read(entry))
          const stored = encodeEntry({ ...headOf(entry), digests, skipped }, request)
          entry.bytes = stored.length
          return this.#write(entry.place, stored)
        } catch (error) {
          // The ending run is whole. The damage to this entry is reported at its own turn.
          if (isCode(error, 'storage_damaged')) return undefined
          throw error
        }
      }),
    ).then((writes) => writes.filter((write) => write !== undefined))
  }

  forgetTaken(): void {
    this.#taken.clear()
  }

  /** The entries that may still be withdrawn or moved, because no turn was given them. */
  get #open(): Entry[] {
    return this.#entries.filter(
      ({ isSteered, isWithdrawn, isLeaving }) => !isSteered && !isWithdrawn && !isLeaving,
    )
  }

  /** @throws {RunnerError} `not_found`. */
  #removable(runId: string): Entry {
    const entry = this.#open.find((each) => each.runId === runId)
    if (entry !== undefined) return entry
    const message = `No run "${runId}" waits on this thread: it has begun, was given to the running turn, or never was.`
    throw new RunnerError('not_found', message)
  }

  /** @throws {RunnerError} `queue_changed`. */
  #inOrder(runIds: readonly string[]): Entry[] {
    const open = this.#open
    const ordered = runIds.map((runId) => open.find((entry) => entry.runId === runId))
    const found = ordered.filter((entry) => entry !== undefined)
    if (new Set(found).size !== open.length || runIds.length !== open.length) throw changed(open)
    return found
  }

  #sort(): void {
    this.#entries.sort((one, other) => one.place - other.place)
  }

  async #read(entry: Entry): Promise<QueuedRun> {
    const { table, writer } = this.#options
    await entry.written
    const stored = await table.get([writer.threadId, entry.place])
    const name = `${writer.threadId}, ${entry.place}`
    if (stored === undefined) throw damaged(name, 'there')
    const request = parseRequest(stored, name)
    const { messageIds, skipped } = entry
    return {
      skipped,
      request: {
        ...request,
        messages: request.messages.filter(({ id, role }) => role !== 'user' || messageIds.includes(id)),
      },
      digests: entry.digests.filter(([id]) => messageIds.includes(id)),
    }
  }

  #write(place: number, value: Buffer | undefined): Write {
    return { table: 'queue', key: [this.#options.writer.threadId, place], value }
  }
}

function changed(open: readonly Waiting[]): RunnerError {
  const runIds = open.map(({ runId }) => runId)
  const message = 'These are not the runs that wait on this thread; read its queue again.'
  return new RunnerError('queue_changed', message, { details: { runIds } })
}

function headOf({ runId, messageIds, digests, skipped, words, isWithdrawn }: Entry): EntryHead {
  return { runId, messageIds, digests: [...digests], skipped, words, isWithdrawn }
}
