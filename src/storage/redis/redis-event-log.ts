import { logAppended } from '../../channels.ts'
import type { RunnerError } from '../../errors.ts'
import { unlessAborted } from '../../within.ts'
import type { Batch } from '../batch.ts'
import type { EventLog } from '../event-log.ts'
import { checkKept, damagedGap } from '../replay.ts'
import { SharedSteps } from '../shared-steps.ts'
import { RecentBatches, Tails, upTo } from '../tails.ts'
import { Waiters } from '../waiters.ts'
import type { RedisClient } from './client.ts'
import { channelOf, threadKey, threadKeys } from './keys.ts'
import { decoded, ENTRIES_MIN, entriesFor, READ_BYTES_MAX, wholeFrom } from './log-entries.ts'
import { bytesOfReply, valuesOfEntries, valuesOfReply } from './reply.ts'
import { STATE } from './scripts.ts'

/** What this process knows of a thread while it writes it, or somebody here reads it. */
interface Feed {
  readonly threadId: string
  head: number
  /** The largest seq that a message named since Redis was asked last. */
  heard: number
  /** First seq that retention has left. */
  oldest: number
  /** Id of the thread's life; empty while it has none. */
  born: string
  isDropped: boolean
  /** Set while this process writes the thread: then nobody else does, and its own commits tell all. */
  isWriting: (() => boolean) | undefined
  /** Set while it hears of the commits of others. */
  followed: Promise<void> | undefined
  readers: number
  /** How many entries the next step out of Redis asks for. */
  entries: number
  readonly tail: RecentBatches
  readonly waiting: Waiters
}

/** What a writer finds when the thread becomes its own. */
export interface Claimed {
  head: number
  oldest: number
  /** Id of the thread's life: another one when it was deleted and made anew. */
  born: string
}

/** How a writer tells the readers of its process. */
export interface HeldFeed {
  published(batches: readonly Batch[], oldest: number): void
  /** Nothing is on its way any more. */
  settled(): void
  left(): void
  dropped(): void
}

/** When Redis could not be asked, it is again after so long. */
const REFRESH_MS = 1000
/** So many entries behind a damaged one are looked at for one that is whole. */
const GAP_ENTRIES = 64

/** Reads the threads that this process writes, and those of others as they write them. */
export class RedisEventLog implements EventLog {
  readonly #client: RedisClient
  readonly #feeds = new Map<string, Feed>()
  readonly #tails = new Tails()
  readonly #steps = new SharedSteps()
  readonly #reading = new Map<string, Promise<readonly Batch[]>>()
  readonly #readers = new Set<{ feed: Feed; seq: number }>()
  readonly #usedBytes: () => number
  #isClosed = false

  constructor(client: RedisClient, usedBytes: () => number) {
    this.#client = client
    this.#usedBytes = usedBytes
  }

  get isClosed(): boolean {
    return this.#isClosed
  }

  async *read(threadId: string, after: number, signal: AbortSignal): AsyncGenerator<readonly Batch[]> {
    this.#client.checkOpen()
    const feed = this.#feed(threadId)
    const reader = { feed, seq: after }
    feed.readers += 1
    this.#readers.add(reader)
    // One that is left alone between two steps never comes to its end below.
    const leave = (): void => {
      if (!this.#readers.delete(reader)) return
      feed.readers -= 1
      this.#forgetUnused(feed)
    }
    signal.addEventListener('abort', leave)
    try {
      if (!signal.aborted) await unlessAborted(signal, this.#follow(feed))
      while (!signal.aborted && !feed.isDropped) {
        this.#client.checkOpen()
        const { seq } = reader
        checkKept(feed, seq)
        if (seq >= feed.head) {
          // A closed log still gives what it holds, and what was being written: a run's last words reach its readers.
          if (this.#isClosed && feed.isWriting?.() !== true) return
          await feed.waiting.next(signal)
          continue
        }
        const batches = await unlessAborted(signal, this.#take(feed, seq))
        if (batches.length === 0) continue
        yield batches
        reader.seq = batches.at(-1)?.last ?? seq
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      leave()
      signal.removeEventListener('abort', leave)
    }
  }

  async checkReplay(threadId: string, after: number): Promise<void> {
    this.#client.checkOpen()
    const feed = await this.#known(threadId)
    checkKept(feed, after)
    if (after < feed.head) await this.#take(feed, after)
  }

  async head(threadId: string): Promise<number> {
    this.#client.checkOpen()
    return (await this.#known(threadId)).head
  }

  async lags(): Promise<number[]> {
    this.#client.checkOpen()
    return [...this.#readers].map(({ feed, seq }) => Math.max(0, feed.head - seq))
  }

  /** Threads that somebody here reads and another process writes, or none. */
  get followed(): readonly string[] {
    const feeds = [...this.#feeds.values()]
    return feeds.flatMap(({ threadId, readers, isWriting }) =>
      readers > 0 && isWriting === undefined ? [threadId] : [],
    )
  }

  /** Of the threads that this process writes. */
  async usedBytes(): Promise<number> {
    this.#client.checkOpen()
    return this.#usedBytes()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const { waiting } of this.#feeds.values()) waiting.wake()
  }

  /** This process writes the thread from now on, until it has `left`. */
  held(threadId: string, { head, oldest, born }: Claimed, isWriting: () => boolean): HeldFeed {
    const before = this.#feed(threadId)
    if (before.born !== '' && before.born !== born) this.#end(before)
    const feed = this.#feed(threadId)
    Object.assign(feed, { head, oldest, born, isWriting })
    feed.waiting.wake()
    return {
      published: (batches, first) => this.#published(feed, batches, first),
      settled: () => feed.waiting.wake(),
      left: () => this.#left(feed),
      dropped: () => {
        if (!feed.isDropped) this.#end(feed)
      },
    }
  }

  #published(feed: Feed, batches: readonly Batch[], oldest: number): void {
    const { threadId } = feed
    for (const { first, last, sse } of batches)
      logAppended.publish({ threadId, events: last - first + 1, bytes: sse.length })
    if (feed.isDropped) return
    feed.head = batches.at(-1)?.last ?? feed.head
    feed.oldest = oldest
    this.#tails.add(feed.tail, batches)
    feed.waiting.wake()
  }

  /** Others may write the thread. */
  #left(feed: Feed): void {
    feed.isWriting = undefined
    this.#tails.forget(feed.tail)
    if (feed.readers === 0) this.#forgetUnused(feed)
    else if (!feed.isDropped && !this.#isClosed) this.#refreshSoon(feed)
    feed.waiting.wake()
  }

  dropped(threadId: string): void {
    const feed = this.#feeds.get(threadId)
    if (feed !== undefined) this.#end(feed)
  }

  /** Messages may have been missed. */
  refreshAll(): void {
    for (const feed of this.#feeds.values()) {
      if (feed.readers > 0 && feed.isWriting === undefined) this.#refreshSoon(feed)
    }
  }

  /** Also when Redis cannot be asked now. */
  #refreshSoon(feed: Feed): void {
    this.#follow(feed)
      .then(() => this.#refresh(feed))
      .catch(() => {
        const isUsed = feed.readers > 0 && !feed.isDropped && !this.#isClosed
        if (isUsed) setTimeout(() => this.#refreshSoon(feed), REFRESH_MS).unref()
      })
  }

  #feed(threadId: string): Feed {
    const known = this.#feeds.get(threadId)
    if (known !== undefined) return known
    const feed = emptyFeed(threadId)
    this.#feeds.set(threadId, feed)
    return feed
  }

  /** Without remembering it: anyone may ask about threads that never were. */
  async #known(threadId: string): Promise<Feed> {
    const known = this.#feeds.get(threadId)
    if (known?.isWriting !== undefined) return known
    const feed = known ?? emptyFeed(threadId)
    await this.#refresh(feed)
    // Its life has ended meanwhile: the next one is asked for.
    return feed.isDropped ? await this.#known(threadId) : feed
  }

  /** Resolves when what is known of the thread is true, and stays so. */
  #follow(feed: Feed): Promise<void> {
    if (feed.isWriting !== undefined) return Promise.resolve()
    feed.followed ??= this.#client
      .listen(channelOf(feed.threadId), (message) => this.#onMessage(feed, message))
      .then(() => this.#refresh(feed))
      .catch((error: unknown) => {
        feed.followed = undefined
        throw error
      })
    return feed.followed
  }

  #onMessage(feed: Feed, message: string): void {
    if (feed.isWriting !== undefined || feed.isDropped) return
    const [born = '', what = ''] = message.split(' ')
    if (feed.born === '' && what !== 'dropped') feed.born = born
    // One of another life, or the end of this one: Redis says which.
    if (born !== feed.born || what === 'dropped') {
      this.#refreshSoon(feed)
      return
    }
    feed.heard = Math.max(feed.heard, Number(what))
    feed.head = Math.max(feed.head, Number(what))
    feed.waiting.wake()
  }

  async #refresh(feed: Feed): Promise<void> {
    feed.heard = 0
    const reply = bytesOfReply(await this.#client.askScript(STATE, threadKeys(feed.threadId), []))
    const [born = '', head = 0, oldest = 1] = reply.map(String)
    // A message comes on another connection: it may be younger than this answer, and here first.
    this.#learn(feed, { born, head: Math.max(feed.heard, Number(head)), oldest: Number(oldest) })
  }

  #learn(feed: Feed, { born, head, oldest }: Pick<Feed, 'born' | 'head' | 'oldest'>): void {
    if (feed.isWriting !== undefined) {
      // Everything else its writer knows better.
      feed.oldest = Math.max(feed.oldest, oldest)
      return
    }
    if (feed.born !== '' && feed.born !== born) {
      this.#end(feed)
      return
    }
    Object.assign(feed, { born, head, oldest })
    feed.waiting.wake()
  }

  /** The thread is no more; what is called so from now on is another one. */
  #end(feed: Feed): void {
    feed.isDropped = true
    this.#steps.clear()
    this.#forget(feed)
    feed.waiting.wake()
  }

  #forgetUnused(feed: Feed): void {
    if (feed.readers === 0 && feed.isWriting === undefined) this.#forget(feed)
  }

  #forget(feed: Feed): void {
    if (this.#feeds.get(feed.threadId) !== feed) return
    this.#feeds.delete(feed.threadId)
    this.#tails.forget(feed.tail)
    if (feed.followed !== undefined) this.#client.unlisten(channelOf(feed.threadId))
  }

  /** What follows `seq`: from the shared tail when the reader keeps up, else from Redis. */
  async #take(feed: Feed, seq: number): Promise<readonly Batch[]> {
    const { threadId, tail } = feed
    const youngest = tail.batches.at(-1)
    if (youngest !== undefined && youngest.first === seq + 1) return [youngest]
    const known = this.#steps.known(threadId, seq)
    if (known !== undefined) return known
    const kept = tail.from(seq)
    if (kept !== undefined)
      return this.#steps.take(threadId, seq, () => upTo(READ_BYTES_MAX, kept, (batch) => batch.after(seq)))
    const key = `${seq} ${threadId}`
    const underWay = this.#reading.get(key)
    if (underWay !== undefined) return await underWay
    const reading = this.#load(feed, seq).finally(() => this.#reading.delete(key))
    this.#reading.set(key, reading)
    return await reading
  }

  async #load(feed: Feed, seq: number): Promise<readonly Batch[]> {
    const { threadId } = feed
    // In this order: what is known of the thread is not older than its entries.
    const [entries, meta] = await Promise.all([
      this.#client.command('XRANGE', threadKey(threadId, 'log'), seq + 1, '+', 'COUNT', feed.entries),
      this.#client.command('HMGET', threadKey(threadId, 'meta'), 'born', 'head', 'oldest', 'largest'),
    ])
    const stored = valuesOfEntries(entries)
    const [born = '', head = 0, oldest = 1, largest = Number.POSITIVE_INFINITY] = valuesOfReply(meta).map(
      (value) => value?.toString(),
    )
    // A log that is gone by its age is known to the script only.
    if (stored.length === 0) await this.#refresh(feed)
    else {
      this.#learn(feed, { born, head: Math.max(feed.head, Number(head)), oldest: Number(oldest) })
      feed.entries = entriesFor(stored, Number(largest))
    }
    if (feed.isDropped) return []
    const batches = wholeFrom(stored, seq).filter(({ first }) => first <= feed.head)
    if (batches.length > 0) return this.#steps.take(threadId, seq, () => batches)
    checkKept(feed, seq)
    if (seq >= feed.head) return []
    throw await this.#gap(feed, seq)
  }

  /** What follows `seq` is damaged, or has vanished from the store. */
  async #gap(feed: Feed, seq: number): Promise<RunnerError> {
    const key = threadKey(feed.threadId, 'log')
    const entries = await this.#client.ask('XRANGE', key, `${seq + 1}`, '+', 'COUNT', GAP_ENTRIES)
    const later = valuesOfEntries(entries)
      .map(decoded)
      .find((batch) => batch !== undefined && batch.first > seq + 1)
    return damagedGap(seq, later?.first ?? feed.head + 1)
  }
}

function emptyFeed(threadId: string): Feed {
  return {
    threadId,
    head: 0,
    heard: 0,
    oldest: 1,
    born: '',
    isDropped: false,
    isWriting: undefined,
    followed: undefined,
    readers: 0,
    entries: ENTRIES_MIN,
    tail: new RecentBatches(),
    waiting: new Waiters(),
  }
}
