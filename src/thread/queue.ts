import type { RunAgentInput } from '@ag-ui/core'
import { RunAgentInputSchema } from '@ag-ui/core/schemas'
import { z } from 'zod'
import { RunnerError } from '../errors.ts'
import { keyText, type Records, type Store } from '../storage/lmdb/store.ts'
import { type NewMessages, toldId } from './history.ts'

/** A run that waits for the one before it; its client may be gone. */
export interface QueuedRun {
  /** With the messages that are new to the thread only. */
  request: RunAgentInput
  digests: NewMessages['digests']
}

/** What is known of a queued run without its messages, which may be large and stay in the store. */
export interface Waiting {
  readonly runId: string
  /** Of the messages that it still has. */
  messageIds: string[]
  readonly digests: QueuedRun['digests']
  /** Given to the turn under way, which may take it in. */
  isSteered: boolean
}

export interface QueueLimits {
  /** Runs that may wait on one thread. */
  queueMax: number
  /** Bytes of JSON that they may have together. */
  queueBytesMax: number
}

/** A stored entry is its head, one line of JSON, and then the request; door of the stored data. */
const Head = z.object({
  runId: z.string(),
  messageIds: z.array(z.string()),
  digests: z.array(z.tuple([z.string(), z.string()])),
})
const Request = z.custom<RunAgentInput>((value) => RunAgentInputSchema.safeParse(value).success)
const NEWLINE = 0x0a

type Key = [thread: string, place: number]

interface Entry extends Waiting {
  readonly place: number
  bytes: number
  /** When it is in the store. */
  written: Promise<unknown>
}

/** The queues of all threads: each entry is a record of its own, so that one more costs as much as it is long. */
export class Queues {
  readonly #store: Store
  readonly #entries: Records<Key>
  readonly #limits: QueueLimits

  constructor(options: QueueLimits & { store: Store }) {
    this.#store = options.store
    this.#entries = options.store.bytes('queue')
    this.#limits = options
  }

  /** @throws when a stored entry is not what this version writes. */
  open(threadId: string): Queue {
    const { queueMax, queueBytesMax } = this.#limits
    return new Queue(threadId, { store: this.#store, entries: this.#entries, queueMax, queueBytesMax })
  }

  async drop(threadId: string): Promise<void> {
    const keys = [...this.#entries.getKeys(keysOf(threadId))]
    await Promise.all(keys.map((key) => this.#entries.remove(key)))
  }
}

/** What waits on one thread, oldest first: for the run under way to end, or to be taken into its turn. */
export class Queue {
  readonly #thread: string
  readonly #options: QueueLimits & { store: Store; entries: Records<Key> }
  #entries: Entry[] = []
  /** Taken in whole or in part since `forgetTaken`; the store still has all of them. */
  readonly #taken = new Set<Entry>()
  #next = 1

  constructor(threadId: string, options: QueueLimits & { store: Store; entries: Records<Key> }) {
    this.#thread = keyText(threadId)
    this.#options = options
    for (const { key, value } of options.entries.getRange(keysOf(threadId))) {
      const head = Head.parse(JSON.parse(value.toString('utf8', 0, value.indexOf(NEWLINE))))
      const entry = { ...head, isSteered: false, place: key[1], bytes: value.length }
      this.#entries.push({ ...entry, written: Promise.resolve() })
      this.#next = key[1] + 1
    }
  }

  get waiting(): readonly Waiting[] {
    return this.#entries
  }

  /**
   * Resolves when the run is on disk; it waits from the first moment.
   *
   * @throws {RunnerError} `queue_full`.
   */
  async add({ request, digests }: QueuedRun): Promise<Waiting> {
    const { store, queueMax, queueBytesMax } = this.#options
    const messageIds = request.messages.filter(({ role }) => role === 'user').map(({ id }) => id)
    const head = { runId: request.runId, messageIds, digests }
    const stored = encode(head, request)
    if (this.#entries.length >= queueMax)
      throw new RunnerError('queue_full', `QUEUE_MAX (${queueMax}) messages wait on this thread already.`)
    const bytes = this.#entries.reduce((sum, entry) => sum + entry.bytes, stored.length)
    if (bytes > queueBytesMax) {
      const message = `The messages that wait on this thread would be ${bytes} bytes, more than QUEUE_BYTES_MAX (${queueBytesMax}); wait for one to run.`
      throw new RunnerError('queue_full', message)
    }
    const place = this.#next++
    const written = this.#options.entries.put([this.#thread, place], stored)
    const entry = { ...head, isSteered: false, place, bytes: stored.length, written }
    this.#entries.push(entry)
    try {
      await written
      await store.flushed()
    } catch (error) {
      this.#leave(entry)
      throw error
    }
    return entry
  }

  has(entry: Waiting): boolean {
    return this.#entries.some((each) => each === entry)
  }

  /** @throws when the stored entry is not what this version writes. */
  async read(waiting: Waiting): Promise<QueuedRun> {
    const entry = this.#entries.find((each) => each === waiting)
    await entry?.written
    if (entry === undefined) throw new Error(`The run "${waiting.runId}" does not wait.`)
    return this.#read(entry)
  }

  /** It waits no more: it runs. Written in the same commit as the start of the run. */
  async remove(waiting: Waiting): Promise<void> {
    const entry = this.#entries.find((each) => each === waiting)
    if (entry === undefined) return
    this.#leave(entry)
    await this.#options.entries.remove(this.#key(entry))
  }

  /**
   * A turn has taken in the message that is told under this id: it waits no more. Returns its id and digests; undefined
   * for one that did not wait.
   */
  takeIn(told: string): QueuedRun['digests'][number] | undefined {
    for (const entry of this.#entries) {
      const id = entry.messageIds.find((each) => each === told || toldId(each) === told)
      if (id === undefined) continue
      entry.messageIds = entry.messageIds.filter((each) => each !== id)
      this.#taken.add(entry)
      if (entry.messageIds.length === 0) this.#leave(entry)
      return entry.digests.find(([each]) => each === id)
    }
    return undefined
  }

  /**
   * Forgets what was taken in, once the log holds it for good: written in the same commit as the end of the run. A
   * runner that is killed before finds it in the log of the run that was cut.
   */
  async forgetTaken(): Promise<void> {
    const taken = [...this.#taken]
    this.#taken.clear()
    await Promise.all(
      taken.map((entry) => {
        if (!this.has(entry)) return this.#options.entries.remove(this.#key(entry))
        const { request, digests } = this.#read(entry)
        const { runId, messageIds } = entry
        const stored = encode({ runId, messageIds, digests }, request)
        entry.bytes = stored.length
        return this.#options.entries.put(this.#key(entry), stored)
      }),
    )
  }

  #read(entry: Entry): QueuedRun {
    const stored = this.#options.entries.get(this.#key(entry))
    if (stored === undefined) throw new Error(`The queued run "${entry.runId}" is not in the store.`)
    const request = Request.parse(JSON.parse(stored.toString('utf8', stored.indexOf(NEWLINE) + 1)))
    const { messageIds } = entry
    return {
      request: {
        ...request,
        messages: request.messages.filter(({ id, role }) => role !== 'user' || messageIds.includes(id)),
      },
      digests: entry.digests.filter(([id]) => messageIds.includes(id)),
    }
  }

  #leave(entry: Entry): void {
    this.#entries = this.#entries.filter((each) => each !== entry)
  }

  #key({ place }: Entry): Key {
    return [this.#thread, place]
  }
}

function keysOf(threadId: string): { start: Key; end: Key } {
  return { start: [keyText(threadId), 0], end: [keyText(threadId), Infinity] }
}

function encode(head: z.infer<typeof Head>, request: RunAgentInput): Buffer {
  return Buffer.from(`${JSON.stringify(head)}\n${JSON.stringify(request)}`)
}
