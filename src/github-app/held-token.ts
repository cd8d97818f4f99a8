import { RunnerError, toMessage } from '../errors.ts'
import type { AppToken } from './app-token.ts'

/** The lifetime of GitHub's tokens, in milliseconds. */
const LIFETIME_MS_MAX = 3_600_000
/** The part of a token's lifetime after which it is renewed. It leaves 15 minutes of an hour for the renewal. */
const RENEWED_AFTER = 3 / 4
/**
 * The pause after a failure before the next attempt, in milliseconds. Also the shortest lifetime that a new token is
 * given, whatever this machine's clock says, and the time in which its rejection is ignored.
 */
const AGAIN_MS = 60_000
/** Limit of a renewal in progress at the end, in milliseconds. It is awaited so that its token can be revoked. */
const CLOSE_MS = 5000

/** The current time and delayed calls. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** Calls `work` after `ms` milliseconds. @returns a function that cancels the call. */
  after(ms: number, work: () => void): () => void
}

export const SYSTEM_CLOCK: Clock = {
  now: Date.now,
  after(ms, work) {
    const timer = setTimeout(work, ms).unref()
    return () => clearTimeout(timer)
  },
}

export interface HeldTokenOptions {
  mint(signal: AbortSignal): Promise<AppToken>
  /** Revokes a token. Resolves also for a token that is no longer valid. */
  revoke(token: string): Promise<void>
  /** Called with each new reason why a token could not be made or revoked. */
  onProblem(message: string): void
  clock: Clock
}

interface Held {
  token: string
  mintedAt: number
  endsAt: number
  isRejected: boolean
}

/** Keeps a valid token: each is renewed before it expires, and all are revoked at the end. */
export class HeldToken {
  readonly name: string = 'the GitHub App’s token'
  readonly #options: HeldTokenOptions
  readonly #ending = new AbortController()
  /** Every token that may still be valid. The last one is handed out. */
  #held: Held[] = []
  #renewAt = 0
  #renewal: Promise<void> | undefined
  #failure: RunnerError | undefined
  #cancel: () => void = () => undefined
  #closed: Promise<void> | undefined

  constructor(options: HeldTokenOptions) {
    this.#options = options
  }

  /** Makes the first token. @throws {RunnerError} of `mint`; the caller has to `close` also then. */
  async open(): Promise<void> {
    await this.#renew()
    if (this.#closed !== undefined) throw ended()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** The reason why the last renewal failed. The token before it may still be valid. */
  get problem(): string | undefined {
    return this.#failure?.message
  }

  /** Returns a valid token. Waits for a renewal only when there is none. @throws {RunnerError} with the reason. */
  async token(): Promise<string> {
    if (this.#closed !== undefined) throw ended()
    const { clock } = this.#options
    const renewal = this.#renewal ?? (clock.now() < this.#renewAt ? undefined : this.#renew())
    if (this.#good === undefined) await renewal
    const good = this.#good
    if (good !== undefined) return good.token
    throw this.#failure ?? ended()
  }

  /** Notes that GitHub refused the token. Ignored in its first minute: GitHub may not know it everywhere yet. */
  reject(token: string): void {
    const good = this.#good
    if (good?.token !== token || this.#options.clock.now() < good.mintedAt + AGAIN_MS) return
    good.isRejected = true
    this.#renewAt = 0
  }

  /** Revokes every token that may still be valid. Safe to call twice. */
  close(): Promise<void> {
    this.#closed ??= this.#close()
    return this.#closed
  }

  get #good(): Held | undefined {
    const last = this.#held.at(-1)
    return last !== undefined && !last.isRejected && this.#options.clock.now() < last.endsAt
      ? last
      : undefined
  }

  /** Starts a renewal unless one is in progress. Resolves when there is a new token or a failure. */
  #renew(): Promise<void> {
    this.#renewal ??= this.#mint().finally(() => {
      this.#renewal = undefined
    })
    return this.#renewal
  }

  async #mint(): Promise<void> {
    const { clock, mint, onProblem } = this.#options
    this.#cancel()
    let wait = AGAIN_MS
    try {
      const { token, expiresAt } = await mint(this.#ending.signal)
      const now = clock.now()
      const lifetime = Math.min(Math.max(expiresAt - now, AGAIN_MS), LIFETIME_MS_MAX)
      this.#held = this.#held.filter(({ endsAt }) => endsAt > now)
      this.#held.push({ token, mintedAt: now, endsAt: now + lifetime, isRejected: false })
      this.#failure = undefined
      wait = lifetime * RENEWED_AFTER
    } catch (error) {
      const failure = error instanceof RunnerError ? error : new RunnerError('internal', toMessage(error))
      const isNew = failure.message !== this.problem
      this.#failure = failure
      if (isNew && this.#held.length > 0 && this.#closed === undefined) onProblem(failure.message)
    }
    this.#renewAt = clock.now() + wait
    if (this.#closed === undefined) this.#cancel = clock.after(wait, () => void this.#renew())
  }

  async #close(): Promise<void> {
    const { clock, revoke, onProblem } = this.#options
    this.#cancel()
    const cancel = clock.after(CLOSE_MS, () => this.#ending.abort())
    await this.#renewal
    cancel()
    const now = clock.now()
    await Promise.all(
      this.#held
        .filter(({ endsAt }) => endsAt > now)
        .map(({ token, endsAt }) =>
          revoke(token).catch((error: unknown) => {
            const end = new Date(endsAt).toISOString()
            onProblem(`a token was not revoked and ends at ${end}: ${toMessage(error)}`)
          }),
        ),
    )
    this.#held = []
  }
}

const ended = (): RunnerError => new RunnerError('shutting_down', 'The session has ended.')
