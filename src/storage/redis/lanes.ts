import { isCode, type RunnerError } from '../../errors.ts'
import type { Tenancy, TenancyWatcher } from '../tenancy.ts'
import type { RedisClient } from './client.ts'
import { nameOf, THREADS_KEY, threadKey } from './keys.ts'
import type { RedisEventLog } from './redis-event-log.ts'
import { elsewhere, nowhere, type Tenant } from './tenant.ts'
import { type LaneOptions, WriteLane } from './write-lane.ts'

export interface LanesOptions {
  client: RedisClient
  tenant: Tenant
  log: RedisEventLog
  retentionBytes: number
  retentionMs: number
  now(): number
}

/** Renewals per lease period. */
const RENEWALS = 3
/** Milliseconds in which Redis may still confirm a lease that ended while the process slept. */
const LATE_MS = 1000

/** The threads that this process writes, and their leases. */
export class Lanes implements Tenancy {
  readonly #options: LanesOptions
  readonly #lanes = new Map<string, WriteLane>()
  readonly #lapsed = new Set<WriteLane>()
  readonly #visits = new Map<string, Promise<void>>()
  /** Threads that were seen without a lease, and since when (`performance.now()`). */
  readonly #vacantSince = new Map<string, number>()
  readonly #timer: NodeJS.Timeout
  #watcher: TenancyWatcher | undefined

  constructor(options: LanesOptions) {
    this.#options = options
    this.#timer = setInterval(() => this.#tick(), options.tenant.leaseMs / RENEWALS).unref()
  }

  get runnerId(): string {
    return this.#options.tenant.runnerId
  }

  watch(watcher: TenancyWatcher): void {
    this.#watcher = watcher
  }

  async claim(threadId: string): Promise<void> {
    await this.#visits.get(threadId)?.catch(() => undefined)
    await this.laneOf(threadId).claim()
  }

  async visit(threadId: string, work: () => Promise<void>): Promise<void> {
    if (this.#lanes.has(threadId) || !(await this.#isForsaken(threadId)) || this.#lanes.has(threadId)) return
    const visiting = this.#visit(threadId, work).finally(() => this.#visits.delete(threadId))
    this.#visits.set(threadId, visiting)
    await visiting
  }

  /** Whether the thread had no lease for a whole lease period: a runner that is only late renews before that. */
  async #isForsaken(threadId: string): Promise<boolean> {
    const { client, tenant } = this.#options
    const isLeased = Number(await client.ask('EXISTS', threadKey(threadId, 'lease'))) === 1
    const since = this.#vacantSince.get(threadId) ?? performance.now()
    const isForsaken = !isLeased && performance.now() - since >= tenant.leaseMs
    if (isLeased || isForsaken) this.#vacantSince.delete(threadId)
    else this.#vacantSince.set(threadId, since)
    return isForsaken
  }

  async #visit(threadId: string, work: () => Promise<void>): Promise<void> {
    const lane = this.#open(threadId, { isVisit: true })
    try {
      await lane.claim()
      await work()
    } catch (error) {
      if (!isCode(error, 'elsewhere')) throw error
    } finally {
      await lane.release().finally(() => this.#forget(threadId, lane))
    }
  }

  async wasOurs(threadId: string): Promise<boolean> {
    const { client, tenant } = this.#options
    const runner = await client.ask('HGET', threadKey(threadId, 'meta'), 'runner')
    return Buffer.isBuffer(runner) && runner.toString() === tenant.runnerId
  }

  async whereabouts(threadId: string): Promise<RunnerError> {
    const lease = await this.#options.client.ask('GET', threadKey(threadId, 'lease'))
    return Buffer.isBuffer(lease) ? elsewhere(threadId, lease.toString()) : nowhere(threadId)
  }

  async release(threadId: string): Promise<void> {
    const lane = this.#lanes.get(threadId)
    if (lane === undefined) return
    const isEmpty = await lane.release()
    this.#forget(threadId, lane)
    if (isEmpty) await this.#unlist(threadId)
  }

  /** Returns the thread's lane. Without one, opens a lane, which claims the thread. */
  laneOf(threadId: string): WriteLane {
    return this.#lanes.get(threadId) ?? this.#open(threadId)
  }

  async drop(threadId: string): Promise<void> {
    const lane = this.laneOf(threadId)
    const dropping = lane.drop()
    // The id may be reused at once. New records are written after the old ones are removed.
    const next = this.#open(threadId, { after: dropping.catch(() => undefined) })
    this.#options.log.dropped(threadId)
    await dropping
    if (!next.isHeld && !next.isWriting) {
      this.#forget(threadId, next)
      await this.#unlist(threadId)
    }
  }

  get writing(): readonly WriteLane[] {
    return [...this.#lanes.values()].filter(({ isWriting }) => isWriting)
  }

  get bytes(): number {
    return [...this.#lanes.values()].reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** Stops renewing leases. */
  stop(): void {
    clearInterval(this.#timer)
  }

  /** Gives up every thread, so that other processes can claim it. */
  async close(): Promise<void> {
    this.stop()
    await Promise.allSettled([...this.#lanes.keys()].map((threadId) => this.release(threadId)))
  }

  #open(threadId: string, how: Pick<LaneOptions, 'after' | 'isVisit'> = {}): WriteLane {
    const { log } = this.#options
    const lane: WriteLane = new WriteLane({
      ...this.#options,
      ...how,
      threadId,
      hold: (claimed) => log.held(threadId, claimed, () => lane.isWriting),
      onLost: () => {
        this.#forget(threadId, lane)
        this.#watcher?.onLost(threadId)
      },
    })
    this.#lanes.set(threadId, lane)
    // A refused lane is forgotten, so that the next caller claims again.
    if (how.after === undefined) lane.claim().catch(() => this.#forget(threadId, lane))
    return lane
  }

  #forget(threadId: string, lane: WriteLane): void {
    this.#lapsed.delete(lane)
    if (this.#lanes.get(threadId) === lane) this.#lanes.delete(threadId)
  }

  async #unlist(threadId: string): Promise<void> {
    await this.#options.client.ask('SREM', THREADS_KEY, nameOf(threadId))
  }

  /** Renews every lease. Each renewal also sends again what Redis has lost. */
  renewAll(): void {
    for (const [threadId, lane] of this.#lanes) {
      if (!lane.isLeased) continue
      this.#renew(threadId, lane).catch(() => this.#lapse(threadId, lane))
    }
  }

  #tick(): void {
    this.renewAll()
    // In a cluster, the client does not say when it has subscribed again and may have missed messages.
    this.#options.log.refreshAll()
    for (const threadId of this.#options.log.followed) this.#watcher?.onFollowed(threadId)
  }

  async #renew(threadId: string, lane: WriteLane): Promise<void> {
    const lapses = setTimeout(
      () => this.#lapse(threadId, lane),
      Math.max(lane.leasedUntil - performance.now(), LATE_MS),
    )
    try {
      if (await lane.renew()) this.#lapsed.delete(lane)
    } finally {
      clearTimeout(lapses)
    }
  }

  /** Reports that a lease has ended: any process that reaches Redis can now claim the thread. */
  #lapse(threadId: string, lane: WriteLane): void {
    if (!lane.isHeld || this.#lapsed.has(lane) || performance.now() < lane.leasedUntil) return
    this.#lapsed.add(lane)
    this.#watcher?.onLapsed(threadId)
  }
}
