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
  /** Milliseconds in which a server that is there begins to send what it has. */
  callMs: number
  /** Milliseconds behind its last message, after which it has sent all. */
  lookMs: number
}

/**
 * Pushes one after the other, each until it is acknowledged. The server stores again what is pushed again, and a push has no
 * id; so a message whose answer was lost is first looked for among those that the server has. Events cannot be looked for:
 * one whose answer was lost may be stored twice.
 */
export class Delivery {
  readonly #options: DeliveryOptions
  readonly #backOff: BackOff
  /** The server's seq of the last message that it has acknowledged. */
  #acknowledged = 0
  /** The next message may have been pushed already, by an earlier process. */
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

  /** Goes on where an earlier process has stopped. */
  resume(acknowledged: number, { isUnsure }: { isUnsure: boolean }): void {
    this.#acknowledged = acknowledged
    this.#isUnsure = isUnsure
  }

  /** There is little time left. */
  hurry(): void {
    this.#backOff.hurry()
  }

  /** Resolves when it is stored, or is nothing that the server takes. @throws {LinkFailure} `refused`; the signal's reason. */
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
        // A token that was good may have ended; one that is new and refused as well says that the runner is.
        const isTokens = failure.remedy === 'token' || failure.remedy === 'refused'
        if (isTokens) refusals += 1
        const isRenewed = isTokens && token !== undefined && this.#options.tokens.forget(token)
        if (failure.remedy === 'refused' && (!isRenewed || refusals > 1)) throw failure
        if (failure.remedy === 'token' && !isRenewed) throw asRefused(failure)
        if (isRenewed && refusals === 1) continue
        this.#options.state.interrupted(failure.message)
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
    this.#options.state.connected()
    linkPushed.publish({ to: push.to, isTaken: true })
  }

  /** Whether it never will be taken: the rest goes on without it. */
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
   * One is under way at a time, so what is the same and came behind the last acknowledged one is it. No watch says that this
   * is all, so it begins at the acknowledged one, which the server has: nothing is concluded before that comes.
   *
   * @throws {LinkFailure} `again`: a server that was not heard has not said that it lacks the message.
   */
  async #isStored(
    push: LinkPush,
    { token, signal }: { token: string | undefined; signal: AbortSignal },
  ): Promise<boolean> {
    const { server, callMs, lookMs } = this.#options
    const last = this.#acknowledged
    let isHeard = last === 0
    const quiet = new Quiet(signal)
    try {
      const onOpen = (): void => quiet.after(isHeard ? lookMs : callMs)
      for await (const message of server.watch(Math.max(0, last - 1), {
        token,
        signal: quiet.signal,
        onOpen,
      })) {
        isHeard = true
        quiet.after(lookMs)
        const { seq, event_type, payload } = message
        if (seq <= last || event_type !== push.type || payload !== push.payload) continue
        this.#stored(push, seq)
        return true
      }
    } finally {
      quiet.close()
    }
    if (isHeard && quiet.signal.aborted) return false
    const text = 'The control plane was not heard when it was asked whether it has a message.'
    throw new LinkFailure(text, { remedy: 'again' })
  }
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
