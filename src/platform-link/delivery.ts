import { AwakeTimer } from '../awake-timer.ts'
import { linkPushed } from '../channels.ts'
import { toMessage } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { BackOff, type Pace } from './back-off.ts'
import { LinkFailure } from './link-failure.ts'
import type { LinkState } from './link-state.ts'
import type { LinkTokens } from './link-tokens.ts'
import type { MessageServer } from './message-server.ts'
import type { LinkPush } from './outgoing.ts'

export interface DeliveryOptions {
  server: Pick<MessageServer, 'push' | 'watch'>
  tokens: Pick<LinkTokens, 'current' | 'forget'>
  state: LinkState
  logger: Pick<Logger, 'info' | 'warn'>
  pace: Pace
  /** Time limit for a server's first message, in milliseconds. */
  callMs: number
  /** Silence after a message, in milliseconds, that means that the server has sent everything. */
  lookMs: number
}

/**
 * Sends pushes one after the other, each until it is acknowledged. A push has no id, and the server stores a repeated
 * push twice. So a message whose answer was lost is first searched among the server's messages. Events cannot be
 * searched: an event whose answer was lost may be stored twice.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #backOff: BackOff
  /** The server's seq of the last acknowledged message. */
  #acknowledged = 0
  /** Whether an earlier process may have pushed the next message already. */
  #isUnsure = false
  #takesEvents = true
  #last: Promise<unknown> = Promise.resolve()

  constructor(options: DeliveryOptions) {
    this.#options = options
    this.#backOff = new BackOff(options.pace)
  }

  get acknowledged(): number {
    return this.#acknowledged
  }

  /** Goes on where an earlier process stopped. `acknowledged` is the server's seq. */
  resume(acknowledged: number, { isUnsure }: { isUnsure: boolean }): void {
    this.#acknowledged = acknowledged
    this.#isUnsure = isUnsure
  }

  /** Shortens all pauses, since little time is left. */
  hurry(): void {
    this.#backOff.hurry()
  }

  /**
   * Sends a push. Resolves when it is stored, or left out since the server does not accept it.
   *
   * @throws {LinkFailure} `refused`; the signal's reason.
   */
  deliver(push: LinkPush, signal: AbortSignal): Promise<void> {
    const delivered = this.#last.then(() => this.#deliver(push, signal))
    this.#last = delivered.catch(() => undefined)
    return delivered
  }

  async #deliver(push: LinkPush, signal: AbortSignal): Promise<void> {
    if (push.to === 'events' && !this.#takesEvents) return
    let isUnsure = this.#isUnsure
    let refusals = 0
    for (;;) {
      signal.throwIfAborted()
      let token: string | undefined
      try {
        token = await this.#options.tokens.current(signal)
        if (isUnsure && push.to === 'messages' && (await this.#isStored(push, { token, signal }))) return
        isUnsure = false
        const seq = await this.#options.server.push(push, token, signal)
        this.#stored(push, seq)
        return
      } catch (error) {
        signal.throwIfAborted()
        const failure = asFailure(error)
        isUnsure ||= failure.isUnsure
        if (this.#isLeftOut(push, failure)) return
        // A token that was good may have expired. If a new one is refused as well, the runner itself is refused.
        const isTokens = failure.remedy === 'token' || failure.remedy === 'refused'
        if (isTokens) refusals += 1
        const isRenewed = isTokens && token !== undefined && this.#options.tokens.forget(token)
        if (failure.remedy === 'refused' && (!isRenewed || refusals > 1)) throw failure
        if (failure.remedy === 'token' && !isRenewed) throw asRefused(failure)
        if (isRenewed && refusals === 1) continue
        this.#options.state.interrupted('push', failure.message)
        await this.#backOff.pause(signal)
      }
    }
  }

  #stored(push: LinkPush, seq: number): void {
    if (push.to === 'messages') {
      this.#acknowledged = Math.max(this.#acknowledged, seq)
      this.#isUnsure = false
    }
    this.#backOff.reset()
    this.#options.state.connected('push')
    linkPushed.publish({ to: push.to, isTaken: true })
  }

  /** Whether the server will never accept the push: the others go on without it. */
  #isLeftOut(push: LinkPush, { remedy, message }: LinkFailure): boolean {
    const { logger } = this.#options
    if (remedy === 'unsupported' && push.to === 'events') {
      this.#takesEvents = false
      logger.info({ reason: message }, 'the control plane keeps no events: messages alone are pushed')
      return true
    }
    if (remedy === 'unsupported') throw new LinkFailure(message, { remedy: 'refused' })
    if (remedy !== 'unfit') return false
    logger.warn({ type: push.type, reason: message }, 'the control plane does not take this: it is left out')
    linkPushed.publish({ to: push.to, isTaken: false })
    return true
  }

  /**
   * Whether the server has the message. Only one is in progress, so an equal one after the last acknowledged is it. A watch
   * has no end, so it begins at the acknowledged one, which the server has: nothing is concluded before that comes. A
   * server that has lost it shows by the session's other messages that it was heard.
   *
   * @throws {LinkFailure} `again`: a server that was not heard has not said that it lacks the message.
   */
  async #isStored(push: LinkPush, call: Call): Promise<boolean> {
    const last = this.#acknowledged
    for (const after of new Set([Math.max(0, last - 1), 0])) {
      const { isHeard, seq } = await this.#search(push, { ...call, after })
      if (seq !== undefined) this.#stored(push, seq)
      if (isHeard || last === 0) return seq !== undefined
    }
    const text = `The control plane shows no message of this session, not even number ${last}, which it acknowledged. So it is not known whether it has the next one, which waits.`
    throw new LinkFailure(text, { remedy: 'again' })
  }

  /** Looks at the messages after `after` until the server is silent. */
  async #search(
    push: LinkPush,
    { after, token, signal }: Call & { after: number },
  ): Promise<{ isHeard: boolean; seq?: number }> {
    const { server, callMs, lookMs } = this.#options
    let isHeard = false
    const quiet = new Quiet(signal)
    try {
      const onOpen = (): void => quiet.after(callMs)
      for await (const message of server.watch(after, { token, signal: quiet.signal, onOpen })) {
        isHeard = true
        quiet.after(lookMs)
        const { seq, event_type, payload } = message
        const isIt = seq > this.#acknowledged && event_type === push.type && payload === push.payload
        if (isIt) return { isHeard, seq }
      }
    } finally {
      quiet.close()
    }
    if (quiet.signal.aborted) return { isHeard }
    throw new LinkFailure('The control plane ended its answer to what messages it has.', { remedy: 'again' })
  }
}

interface Call {
  token: string | undefined
  signal: AbortSignal
}

/** A signal that is aborted when nothing came for a while, or with the other one. */
class Quiet {
  readonly #own = new AbortController()
  readonly #outer: AbortSignal
  readonly #stop = (): void => this.#own.abort()
  #timer: AwakeTimer | undefined

  constructor(outer: AbortSignal) {
    this.#outer = outer
    outer.addEventListener('abort', this.#stop, { once: true })
    if (outer.aborted) this.#stop()
  }

  get signal(): AbortSignal {
    return this.#own.signal
  }

  /** The time begins anew. */
  after(ms: number): void {
    this.#timer?.close()
    this.#timer = new AwakeTimer(ms, this.#stop)
  }

  close(): void {
    this.#timer?.close()
    this.#outer.removeEventListener('abort', this.#stop)
  }
}

function asFailure(error: unknown): LinkFailure {
  return error instanceof LinkFailure ? error : new LinkFailure(toMessage(error), { remedy: 'again' })
}

function asRefused({ message }: LinkFailure): LinkFailure {
  return new LinkFailure(message, { remedy: 'refused' })
}
