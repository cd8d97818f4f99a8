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
  /** Milliseconds after which a watch is begun anew: what the server did not deliver comes then. */
  watchMs: number
  threadId: string
  /** The last message of an earlier process, or of an earlier start. */
  after: number
  /** Whether a message is one that is run in another way, or was. */
  isOld(message: SessionMessage): boolean
  submit(input: RunAgentInput): Promise<unknown>
  interrupts(): Promise<readonly Interrupt[]>
  /** Keeps for good that the message was accepted. */
  save(seq: number): Promise<void>
  /** Says something to the person in the platform's chat. */
  tell(text: string): Promise<void>
}

/** Watches what the platform's people say, and runs it: each message once, one behind the other. */
export class Inbox {
  readonly #options: InboxOptions
  readonly #backOff: BackOff
  /** The last message that was seen, whoever said it. */
  #seen: number
  #accepted: number

  constructor(options: InboxOptions) {
    this.#options = options
    this.#backOff = new BackOff(options.pace)
    this.#seen = options.after
    this.#accepted = options.after
  }

  /** Until `signal` is aborted. @throws {LinkFailure} `refused`. */
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
        // A watch that delivered was let in: its token has ended meanwhile.
        refusals = !isTokens || this.#seen > before ? 0 : refusals + 1
        const isRenewed = isTokens && token !== undefined && tokens.forget(token)
        const isFinal = remedy === 'unsupported' || (remedy === 'token' && !isRenewed)
        if (isFinal || (remedy === 'refused' && (!isRenewed || refusals > 1)))
          throw new LinkFailure(message, { remedy: 'refused' })
        if (isTokens && refusals <= 1)
          logger.debug({ reason: message }, 'the watch is begun with a new token')
        else state.interrupted(message)
      }
      // Also behind a clean end: a server that closes at once is not asked in a loop.
      await this.#backOff.pause(signal)
    }
  }

  async #watch(token: string | undefined, signal: AbortSignal): Promise<void> {
    const { server, state, watchMs } = this.#options
    await within({ signal, timeoutMs: watchMs }, async (limit) => {
      const onOpen = (): void => state.connected()
      for await (const message of server.watch(this.#seen, { token, signal: limit, onOpen })) {
        this.#backOff.reset()
        await this.#take(message, signal)
        this.#seen = Math.max(this.#seen, message.seq)
      }
    })
  }

  /** Resolves when it is accepted for good. What cannot be accepted now is tried again: nothing is passed over. */
  async #take(message: SessionMessage, signal: AbortSignal): Promise<void> {
    const { seq, event_type } = message
    const { isOld, save, logger, threadId } = this.#options
    if (event_type !== 'user' || seq <= this.#accepted) return
    if (isOld(message)) logger.info({ seq }, 'a message of before this start is left to the initial prompt')
    else await this.#submit(message, signal)
    if (signal.aborted) return
    await save(seq)
    this.#accepted = seq
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
        await this.#options.tell(`This message was not taken: ${toMessage(error)}`)
        return
      }
    }
  }
}

/** What ends by itself, or when the person or the operator acts. */
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

/** The runner stops: what was not accepted is said again to the next one. */
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
