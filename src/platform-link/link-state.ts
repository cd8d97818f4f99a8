import type { Logger } from '../telemetry/logger.ts'

export type LinkStateName = 'connecting' | 'connected' | 'refused' | 'closed'

/** The state of the link to the control plane. Changes are logged. */
export class LinkState {
  readonly #logger: Pick<Logger, 'info' | 'warn' | 'error'>
  #name: LinkStateName = 'connecting'
  #reason: string | undefined

  constructor(logger: Pick<Logger, 'info' | 'warn' | 'error'>) {
    this.#logger = logger
  }

  get name(): LinkStateName {
    return this.#name
  }

  /** Why the link is not connected; undefined while it is, and before the first failure. */
  get reason(): string | undefined {
    return this.#reason
  }

  connected(): void {
    if (this.#name !== 'connecting') return
    this.#change('connected', undefined)
    this.#logger.info('the platform link is connected')
  }

  /** Records an interruption. A cut every few minutes is normal; a reason that stays the same is logged once. */
  interrupted(reason: string): void {
    const isNews = this.#reason !== reason
    if (this.#name === 'refused' || this.#name === 'closed') return
    this.#change('connecting', reason)
    if (isNews) this.#logger.warn({ reason }, 'the platform link is interrupted and tries again')
  }

  refused(reason: string): void {
    if (this.#name === 'refused' || this.#name === 'closed') return
    this.#change('refused', reason)
    this.#logger.error(
      { reason },
      'the platform link is refused for good: the session gets no more messages of the platform and sends it none; clients of this runner are served as before',
    )
  }

  closed(): void {
    if (this.#name !== 'refused') this.#change('closed', this.#reason)
  }

  #change(name: LinkStateName, reason: string | undefined): void {
    this.#name = name
    this.#reason = reason
  }
}
