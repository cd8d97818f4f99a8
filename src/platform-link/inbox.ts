import type { Interrupt, RunAgentInput } from '@ag-ui/core'
import { linkReceived } from '../channels.ts'
import { isCode, RunnerError, toMessage } from '../errors.ts'
import type { Logger } from '../telemetry/logger.ts'
import { within } from '../within.ts'
import { BackOff, type Pace } from './back-off.ts'
import { toRunInput } from './incoming.ts'
import { LinkFailure } from './link-failure.ts'
import type { LinkState } from './link-state.ts'
import type { LinkTokens } from './link-tokens.ts'
import type { MessageServer } from './message-server.ts'
import type { SessionMessage } from './protocol.ts'

export interface InboxOptions {
  server: Pick<MessageServer, 'watch'>
  tokens: Pick<LinkTokens, 'current' | 'forget'>
  state: LinkState
  logger: Pick<Logger, 'info' | 'warn' | 'debug'>
  pace: Pace
  /** Milliseconds after which the watch is begun again, to get messages that the server did not deliver. */
  watchMs: number
  /** Milliseconds after which a watch that brought no message and was not refused is taken for accepted. */
  lookMs: number
  threadId: string
  /** Seq of the last message that an earlier process or start has accepted. */
  after: number
  /** Whether a message is run in another way, or was run before. */
  isOld(message: SessionMessage): boolean
  submit(input: RunAgentInput): Promise<unknown>
  interrupts(): Promise<readonly Interrupt[]>
  /** Stores durably that the messages up to `seq` are accepted. */
  save(seq: number): Promise<void>
  /** Sends a text to the person in the platform's chat. */
  reply(text: string): Promise<void>
}

/** Watches the messages of people on the platform and submits each as a run: once, and one after the other. */
export class Inbox {
  readonly #options: InboxOptions
  readonly #backOff: BackOff
  /** Seq of the last message that was seen, of any type; and what it was when the last watch that stood began. */
  #seen: number
  #seenBefore: number
  readonly #taken = new Set<number>()
  #accepted: number

  constructor(options: InboxOptions) {
    this.#options = options
    this.#backOff = new BackOff(options.pace)
    this.#seen = options.after
    this.#seenBefore = options.after
    this.#accepted = options.after
  }

  /** Runs until `signal` is aborted. @throws {LinkFailure} `refused`. */
  async run(signal: AbortSignal): Promise<void> {
    const { tokens, state, logger } = this.#options
    let refusals = 0
    while (!signal.aborted) {
      let token: string | undefined
      const before = this.#seen
      try {
        token = await tokens.current(signal)
        await this.#watch(token, signal)
        refusals = 0
      } catch (error) {
        if (signal.aborted) return
        const failure = error instanceof LinkFailure ? error : asFailure(error)
        const { remedy, message } = failure
        const isTokens = remedy === 'token' || remedy === 'refused'
        // A watch that delivered messages was accepted: its token has expired meanwhile.
        refusals = !isTokens || this.#seen > before ? 0 : refusals + 1
        const isRenewed = isTokens && token !== undefined && tokens.forget(token)
        const isFinal = remedy === 'unsupported' || (remedy === 'token' && !isRenewed)
        if (isFinal || (remedy === 'refused' && (!isRenewed || refusals > 1)))
          throw new LinkFailure(message, { remedy: 'refused' })
        if (isTokens && refusals <= 1)
          logger.debug({ reason: message }, 'the watch is begun with a new token')
        else state.interrupted('watch', message)
      }
      // Also after a clean end: a server that closes at once must not be called in a tight loop.
      await this.#backOff.pause(signal)
    }
  }

  async #watch(token: string | undefined, signal: AbortSignal): Promise<void> {
    const { server, state, watchMs, lookMs } = this.#options
    // A server delivers what came to itself, and not what came to another of its kind. So what a person said may have a
    // lower number than a message that was seen, and all that came since the last watch began is asked for again.
    const after = this.#seenBefore
    const seen = this.#seen
    let settling: NodeJS.Timeout | undefined
    const accepted = (): void => {
      state.connected('watch')
      this.#backOff.reset()
    }
    const onOpen = (): void => {
      settling = setTimeout(() => {
        accepted()
        this.#seenBefore = seen
      }, lookMs)
    }
    try {
      await within({ signal, timeoutMs: watchMs }, async (limit) => {
        for await (const message of server.watch(after, { token, signal: limit, onOpen })) {
          accepted()
          await this.#take(message, signal)
          this.#seen = Math.max(this.#seen, message.seq)
        }
      })
    } finally {
      clearTimeout(settling)
    }
  }

  /** Resolves when the message is accepted for good. Tries again if it cannot be accepted yet: none is skipped. */
  async #take(message: SessionMessage, signal: AbortSignal): Promise<void> {
    const { seq, event_type } = message
    const { after, isOld, save, logger, threadId } = this.#options
    if (event_type !== 'user' || this.#taken.has(seq)) return
    if (seq <= after) {
      const words = 'a message of the platform is skipped: its number is not after that of an earlier start'
      logger.warn({ seq, accepted: after }, words)
      return
    }
    if (isOld(message)) logger.info({ seq }, 'a message of before this start is left to the initial prompt')
    else await this.#submit(message, signal)
    if (signal.aborted) return
    this.#accepted = Math.max(this.#accepted, seq)
    await save(this.#accepted)
    this.#taken.add(seq)
    linkReceived.publish({ threadId })
  }

  async #submit(message: SessionMessage, signal: AbortSignal): Promise<void> {
    const { submit, interrupts, threadId, logger, pace } = this.#options
    const patience = new BackOff(pace)
    while (!signal.aborted) {
      try {
        await submit(toRunInput(message, { threadId, interrupts: await interrupts() }))
        logger.info({ seq: message.seq }, 'a message of the platform is accepted')
        return
      } catch (error) {
        if (isCode(error, 'run_exists')) return
        if (isCode(error, 'shutting_down')) return await untilAborted(signal)
        if (isForNow(error)) {
          logger.warn({ seq: message.seq, reason: toMessage(error) }, 'a message of the platform waits')
          await patience.pause(signal)
          continue
        }
        logger.warn({ seq: message.seq, reason: toMessage(error) }, 'a message of the platform is not run')
        await this.#options.reply(`This message was not taken: ${toMessage(error)}`)
        return
      }
    }
  }
}

/** Whether the cause of an error ends by itself, or when the person or the operator acts. */
function isForNow(error: unknown): boolean {
  return isCode(
    error,
    'queue_full',
    'interrupt_open',
    'thread_busy',
    'storage_full',
    'storage_unavailable',
    'too_many_threads',
    'elsewhere',
    'lease_lost',
  )
}

/** Waits while the runner stops. The next runner gets the message again, since it was not accepted. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    signal.addEventListener('abort', () => resolve(), { once: true })
    if (signal.aborted) resolve()
  })
}

function asFailure(error: unknown): LinkFailure {
  const text = error instanceof RunnerError ? `${error.code}: ${error.message}` : toMessage(error)
  return new LinkFailure(text, { remedy: 'again' })
}
