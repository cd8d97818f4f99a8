import { checkKept } from '../replay.ts'
import { ThreadTail } from '../tails.ts'
import { Waiters } from '../waiters.ts'
import { commonUpTo } from './claims.ts'
import { ENTRIES_MIN } from './log-entries.ts'

/** What this process knows about a thread while it writes the thread or has readers of it. */
export interface Feed {
  readonly threadId: string
  /** The last seq in Redis. Lower than before when Redis lost records in a crash. */
  head: number
  /** The largest seq that a message or a replay brought since the last refresh began. */
  heard: number
  /** The first seq that retention has kept. */
  oldest: number
  /** Id of the thread's life; empty while none is known. */
  born: string
  /** Fence of the thread's last writer; empty while none is known. */
  fence: string
  /** The thread's last claims, as `commonUpTo` takes them. */
  claims: string
  isDropped: boolean
  /**
   * Set while this process writes the thread. No other process writes then, so its own commits are all that happens.
   * Returns whether a write is pending.
   */
  isWriting: (() => boolean) | undefined
  /** Set while this process listens for the commits of others; resolves when the feed is current. */
  followed: Promise<void> | undefined
  readers: number
  /** Number of entries that the next read from Redis requests. */
  entries: number
  readonly tail: ThreadTail
  readonly waiting: Waiters
}

/** One reader of a feed. */
export interface FeedReader {
  readonly feed: Feed
  seq: number
  /** Fence under which `seq` was a place in this log; undefined before the first step. */
  fence: string | undefined
}

export function emptyFeed(threadId: string): Feed {
  return {
    threadId,
    head: 0,
    heard: 0,
    oldest: 1,
    born: '',
    fence: '',
    claims: '',
    isDropped: false,
    isWriting: undefined,
    followed: undefined,
    readers: 0,
    entries: ENTRIES_MIN,
    tail: new ThreadTail(),
    waiting: new Waiters(),
  }
}

/** @throws {RunnerError} `replay_expired` when what a reader has read is not in the log, or is no longer what follows it. */
export function checkReader(reader: FeedReader): void {
  const { feed, seq } = reader
  checkKept({ oldest: feed.oldest, head: boundOf(reader) }, seq)
  reader.fence = feed.fence
}

function boundOf({ feed, seq, fence }: FeedReader): number {
  if (fence === undefined) return feed.head
  // A reader may be ahead of a Redis that lost records in a crash: their writer sends them again.
  return fence === feed.fence ? seq : commonUpTo(feed.claims, fence)
}
