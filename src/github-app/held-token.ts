import { RunnerError, toMessage } from '../errors.ts'
import type { AppToken } from './app-token.ts'

/** GitHub's own. */
const LIFETIME_MS_MAX = 3_600_000
/** Of a token's time; the last 15 minutes of the hour are for getting the next one. */
const RENEWED_AFTER = 3 / 4
/** How soon GitHub is asked again after a refusal, and how long a new token is good whatever this machine's clock says. */
const AGAIN_MS = 60_000
/** What a renewal that is under way has at the end: a token that nobody knows could not be revoked. */
const CLOSE_MS = 5000

/** The time, and a call at another one. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number
  /** @returns what takes the call back. */
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
  /** Resolves also for one that is no good any more. */
  revoke(token: string): Promise<void>
  /** Called with each new reason why a token could not be had or revoked. */
  onProblem(message: string): void
  clock: Clock
}

interface Held {
  token: string
  mintedAt: number
  endsAt: number
  isRejected: boolean
}

/** One token after the other: each is there before the last one ends, and all are revoked at the end. */
export class HeldToken {
  readonly name: string = 'the GitHub App’s token'
  readonly #options: HeldTokenOptions
  readonly #ending = new AbortController()
  /** Every one that may still be good; the last is given out. */
  #held: Held[] = []
  #renewAt = 0
  #renewal: Promise<void> | undefined
  #failure: RunnerError | undefined
  #cancel: () => void = () => undefined
  #closed: Promise<void> | undefined

  constructor(options: HeldTokenOptions) {
    this.#options = options
  }

  /** Gets the first token. @throws {RunnerError} of `mint`; whoever has made it closes it then too. */
  async open(): Promise<void> {
    await this.#renew()
    if (this.#closed !== undefined) throw ended()
    if (this.#failure !== undefined) throw this.#failure
  }

  /** Why the last renewal failed; the token before it may still be good. */
  get problem(): string | undefined {
    return this.#failure?.message
  }

  /** Waits for a renewal only when there is no token that is good. @throws {RunnerError} with why there is none. */
  async token(): Promise<string> {
    if (this.#closed !== undefined) throw ended()
    const { clock } = this.#options
    const renewal = this.#renewal ?? (clock.now() < this.#renewAt ? undefined : this.#renew())
    if (this.#good === undefined) await renewal
    const good = this.#good
    if (good !== undefined) return good.token
    throw this.#failure ?? ended()
  }

  /** GitHub does not take it. A new one it may not know everywhere yet. */
  reject(token: string): void {
    const good = this.#good
    if (good?.token !== token || this.#options.clock.now() < good.mintedAt + AGAIN_MS) return
    good.isRejected = true
    this.#renewAt = 0
  }

  /** Revokes what may still be good. Idempotent. */
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

  /** One at a time. Resolves when there is a new token, or a failure. */
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
