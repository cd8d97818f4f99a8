import type { RunnerError } from '../../errors.ts'
import { unlessAborted } from '../../within.ts'
import type { Batch } from '../batch.ts'
import type { EventLog } from '../event-log.ts'
import { checkKept, damagedGap } from '../replay.ts'
import { SharedSteps } from '../shared-steps.ts'
import { Tails, upTo } from '../tails.ts'
import type { RedisClient } from './client.ts'
import { checkReader, emptyFeed, type Feed, type FeedReader } from './feed.ts'
import { channelOf, threadKey, threadKeys } from './keys.ts'
import { decoded, entriesFor, READ_BYTES_MAX, wholeFrom } from './log-entries.ts'
import { bytesOfReply, valuesOfEntries, valuesOfReply } from './reply.ts'
import { STATE } from './scripts.ts'

/** The state of a thread that a writer finds with its claim. */
export interface Claimed {
  head: number
  oldest: number
  /** Id of the thread's life: another one when the thread was deleted and made anew. */
  born: string
  fence: string
  claims: string
}

/** Callbacks by which a writer informs the readers of its process. */
export interface HeldFeed {
  /** The same writer has claimed the thread again, since Redis had lost its claim. */
  reclaimed(claimed: Claimed): void
  published(batches: readonly Batch[], oldest: number): void
  /** No write is pending any more. */
  settled(): void
  left(): void
  dropped(): void
}

/** Milliseconds until Redis is asked again after a failure. */
const REFRESH_MS = 1000
/** Number of entries after a damaged one that are searched for an intact one. */
const GAP_ENTRIES = 64

/** The log of the threads that this process writes, and of other processes' threads while they write them. */
export class RedisEventLog implements EventLog {
  readonly #client: RedisClient
  readonly #feeds = new Map<string, Feed>()
  readonly #tails = new Tails()
  readonly #steps = new SharedSteps()
  readonly #reading = new Map<string, Promise<readonly Batch[]>>()
  readonly #readers = new Set<FeedReader>()
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
    const reader: FeedReader = { feed, seq: after, fence: undefined }
    feed.readers += 1
    this.#readers.add(reader)
    // A reader that is abandoned between two steps never reaches the `finally` block below.
    const leave = (): void => {
      if (!this.#readers.delete(reader)) return
      feed.readers -= 1
      this.#forgetUnused(feed)
    }
    signal.addEventListener('abort', leave)
    const waiter = feed.waiting.join(signal)
    try {
      if (!signal.aborted) await unlessAborted(signal, this.#follow(feed))
      while (!signal.aborted && !feed.isDropped) {
        this.#client.checkOpen()
        const { seq } = reader
        checkReader(reader)
        if (seq >= feed.head) {
          // A closed log still yields its records and the pending ones, so that readers get the end of a run.
          if (this.#isClosed && feed.isWriting?.() !== true) return
          await waiter.next()
          continue
        }
        const batches = await unlessAborted(signal, this.#take(feed, seq))
        // What came under another fence may not follow what this reader has.
        if (feed.fence !== reader.fence) continue
        if (batches.length === 0) {
          // Redis has another fence than this process, which has yet to find out what that means.
          if (feed.isWriting !== undefined) await waiter.next()
          continue
        }
        yield batches
        reader.seq = batches.at(-1)?.last ?? seq
      }
    } catch (error) {
      if (!signal.aborted) throw error
    } finally {
      leave()
      signal.removeEventListener('abort', leave)
      waiter.leave()
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

  /** Threads that have readers here and that this process does not write. */
  get followed(): readonly string[] {
    const feeds = [...this.#feeds.values()]
    return feeds.flatMap(({ threadId, readers, isWriting }) =>
      readers > 0 && isWriting === undefined ? [threadId] : [],
    )
  }

  /** Counts only the threads that this process writes. */
  async usedBytes(): Promise<number> {
    this.#client.checkOpen()
    return this.#usedBytes()
  }

  async close(): Promise<void> {
    this.#isClosed = true
    for (const { waiting } of this.#feeds.values()) waiting.wake()
  }

  /** Makes this process the thread's writer until the returned feed's `left` is called. */
  held(threadId: string, claimed: Claimed, isWriting: () => boolean): HeldFeed {
    const before = this.#feed(threadId)
    if (before.born !== '' && before.born !== claimed.born) this.#end(before)
    const feed = this.#feed(threadId)
    Object.assign(feed, { ...claimed, isWriting })
    feed.waiting.wake()
    return {
      reclaimed: ({ fence, claims }) => {
        Object.assign(feed, { fence, claims })
        feed.waiting.wake()
      },
      published: (batches, first) => this.#published(feed, batches, first),
      settled: () => feed.waiting.wake(),
      left: () => this.#left(feed),
      dropped: () => {
        if (!feed.isDropped) this.#end(feed)
      },
    }
  }

  #published(feed: Feed, batches: readonly Batch[], oldest: number): void {
    if (feed.isDropped) return
    feed.head = batches.at(-1)?.last ?? feed.head
    feed.oldest = oldest
    this.#tails.add(feed.tail, batches)
    feed.waiting.wake()
  }

  /** Ends this process's time as the writer: others may write the thread from now on. */
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

  /** Refreshes every feed with readers of another process's thread, since messages may have been missed. */
  refreshAll(): void {
    for (const feed of this.#feeds.values()) {
      if (feed.readers > 0 && feed.isWriting === undefined) this.#refreshSoon(feed)
    }
  }

  /** Refreshes a feed in the background; tries again while Redis cannot be asked. */
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

  /** Returns a thread's current state. Does not remember it: clients may ask about threads that never existed. */
  async #known(threadId: string): Promise<Feed> {
    const known = this.#feeds.get(threadId)
    if (known?.isWriting !== undefined) return known
    const feed = known ?? emptyFeed(threadId)
    await this.#refresh(feed)
    // The thread was dropped meanwhile: its successor's state is requested.
    return feed.isDropped ? await this.#known(threadId) : feed
  }

  /** Listens for a thread's changes. Resolves when the feed is current, and stays so. */
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
    const [born, what, fence] = message.split(' ')
    // The message is from another life or another writer of the thread, or ends this life. Redis says which.
    if (born !== feed.born || fence !== feed.fence) {
      this.#refreshSoon(feed)
      return
    }
    feed.heard = Math.max(feed.heard, Number(what))
    feed.head = Math.max(feed.head, feed.heard)
    feed.waiting.wake()
  }

  async #refresh(feed: Feed): Promise<void> {
    feed.heard = 0
    const reply = bytesOfReply(await this.#client.askScript(STATE, threadKeys(feed.threadId), []))
    const [born = '', head = 0, oldest = 1, fence = '', claims = ''] = reply.map(String)
    // What a message or a replay brought meanwhile is newer than this answer, which may come late.
    this.#learn(feed, { born, head: Math.max(feed.heard, Number(head)), oldest: Number(oldest) })
    if (feed.isWriting === undefined) Object.assign(feed, { fence, claims })
  }

  #learn(feed: Feed, { born, head, oldest }: Pick<Feed, 'born' | 'head' | 'oldest'>): void {
    if (feed.isWriting !== undefined) {
      // The writer in this process knows everything else better.
      feed.oldest = Math.max(feed.oldest, oldest)
      return
    }
    if (feed.born !== '' && feed.born !== born) {
      this.#end(feed)
      return
    }
    // Redis has lost records. Whoever has not read them yet shall have them when they are there again.
    if (head < feed.head) this.#steps.clear()
    Object.assign(feed, { born, head, oldest })
    feed.waiting.wake()
  }

  /** Ends the feed of a removed thread. A new thread of the same id gets a new feed. */
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

  /** Returns what follows `seq`: from the shared tail when the reader keeps up, else from Redis. */
  async #take(feed: Feed, seq: number): Promise<readonly Batch[]> {
    const { threadId, tail } = feed
    const steps = stepsOf(threadId, feed.fence)
    const youngest = tail.batches.at(-1)
    if (youngest !== undefined && youngest.first === seq + 1) return [youngest]
    const known = this.#steps.known(steps, seq)
    if (known !== undefined) return known
    const kept = tail.from(seq)
    if (kept !== undefined)
      return this.#steps.take(steps, seq, () => upTo(READ_BYTES_MAX, kept, (batch) => batch.after(seq)))
    const key = `${seq} ${steps}`
    const underWay = this.#reading.get(key)
    if (underWay !== undefined) return await underWay
    const reading = this.#load(feed, seq).finally(() => this.#reading.delete(key))
    this.#reading.set(key, reading)
    return await reading
  }

  async #load(feed: Feed, seq: number): Promise<readonly Batch[]> {
    const { threadId, fence: before } = feed
    // In this order, so that the thread's state is not older than its entries.
    const [entries, meta] = await Promise.all([
      this.#client.command('XRANGE', threadKey(threadId, 'log'), seq + 1, '+', 'COUNT', feed.entries),
      this.#client.command(
        'HMGET',
        threadKey(threadId, 'meta'),
        'born',
        'head',
        'oldest',
        'largest',
        'fence',
      ),
    ])
    const stored = valuesOfEntries(entries)
    const [born = '', head = 0, oldest = 1, largest = Number.POSITIVE_INFINITY, fence = ''] = valuesOfReply(
      meta,
    ).map((value) => value?.toString())
    if (stored.length > 0) {
      feed.heard = Math.max(feed.heard, Number(head))
      this.#learn(feed, { born, head: Math.max(feed.head, feed.heard), oldest: Number(oldest) })
      feed.entries = entriesFor(stored, Number(largest))
    }
    // Only the script detects a log that has expired, and returns the claims.
    if (stored.length === 0 || fence !== before) await this.#refresh(feed)
    // Under another fence the entries may be other ones by now.
    if (feed.isDropped || fence !== before) return []
    const batches = wholeFrom(stored, seq).filter(({ first }) => first <= feed.head)
    if (batches.length > 0) return this.#steps.take(stepsOf(threadId, before), seq, () => batches)
    if (seq >= feed.head) return []
    checkKept(feed, seq)
    throw await this.#gap(feed, seq)
  }

  /** Returns the error for damaged or missing records after `seq`. */
  async #gap(feed: Feed, seq: number): Promise<RunnerError> {
    const key = threadKey(feed.threadId, 'log')
    const entries = await this.#client.ask('XRANGE', key, `${seq + 1}`, '+', 'COUNT', GAP_ENTRIES)
    const later = valuesOfEntries(entries)
      .map(decoded)
      .find((batch) => batch !== undefined && batch.first > seq + 1)
    return damagedGap(seq, later?.first ?? feed.head + 1)
  }
}

/** Returns the name of a thread's shared steps. Under another fence there may be other ones. */
function stepsOf(threadId: string, fence: string): string {
  return `${fence} ${threadId}`
}
