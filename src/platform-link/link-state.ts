import type { Logger } from '../telemetry/logger.ts'

export type LinkStateName = 'connecting' | 'connected' | 'refused' | 'closed'
/** Messages of people come by `watch`, and what the log says goes by `push`. Either can fail alone. */
const HALVES = ['watch', 'push'] as const
export type LinkHalf = (typeof HALVES)[number]

/** The state of the link to the control plane. Changes are logged. */
export class LinkState {
  readonly #logger: Pick<Logger, 'info' | 'warn' | 'error'>
  /** Why a half is interrupted. */
  readonly #reasons = new Map<LinkHalf, string>()
  #isWatching = false
  #end: { name: 'refused' | 'closed'; reason: string | undefined } | undefined

  constructor(logger: Pick<Logger, 'info' | 'warn' | 'error'>) {
    this.#logger = logger
  }

  /** The link is connected while it watches and no push waits: one that has nothing to push is whole. */
  get name(): LinkStateName {
    if (this.#end !== undefined) return this.#end.name
    return this.#isWatching && this.#reasons.size === 0 ? 'connected' : 'connecting'
  }

  /** Why the link is not connected; undefined while it is, and before the first failure. */
  get reason(): string | undefined {
    if (this.#end !== undefined) return this.#end.reason
    const reasons = HALVES.filter((half) => this.#reasons.has(half))
    return reasons.map((half) => `${half}: ${this.#reasons.get(half)}`).join('; ') || undefined
  }

  connected(half: LinkHalf): void {
    const before = this.name
    this.#reasons.delete(half)
    if (half === 'watch') this.#isWatching = true
    if (before === 'connecting' && this.name === 'connected')
      this.#logger.info('the platform link is connected')
  }

  /** Records an interruption. A cut every few minutes is normal; a reason that stays the same is logged once. */
  interrupted(half: LinkHalf, reason: string): void {
    if (this.#end !== undefined) return
    const isNews = this.#reasons.get(half) !== reason
    this.#reasons.set(half, reason)
    if (half === 'watch') this.#isWatching = false
    if (isNews) this.#logger.warn({ half, reason }, 'the platform link is interrupted and tries again')
  }

  refused(reason: string): void {
    if (this.#end !== undefined) return
    this.#end = { name: 'refused', reason }
    this.#logger.error(
      { reason },
      'the platform link is refused for good: the session gets no more messages of the platform and sends it none; clients of this runner are served as before',
    )
  }

  closed(): void {
    this.#end ??= { name: 'closed', reason: this.reason }
  }
}
