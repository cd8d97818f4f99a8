import { constants, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto'
import { request } from 'undici'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import type { TokenSource } from '../link-settings.ts'
import { createDispatcher } from '../model-route/dispatcher.ts'
import type { ProxySettings } from '../proxy-settings.ts'
import { unlessAborted, within } from '../within.ts'
import { LinkFailure } from './link-failure.ts'

/** Upper bound of an answer, in bytes. */
const ANSWER_BYTES_MAX = 16_384
/** Answers of something on the way, to a request that came too slowly or too often: they are no refusal. */
const FOR_NOW: ReadonlySet<number> = new Set([408, 429])
/** Time limit of one request, in milliseconds. */
const REQUEST_MS_MAX = 10_000
/** A token that expires within this time, in milliseconds, is not used for a new call. */
const LEFT_MS_MIN = 30_000
/** The form of a session's own token, and the longest time that it lives, in milliseconds. */
const SESSION_TOKEN = /^acp-runner-v1\.[\x21-\x7e]{1,8192}$/
const LIFETIME_MS_MAX = 300_000

const SessionToken = z.object({ token: z.string().regex(SESSION_TOKEN), expires_at: z.number() })
/** The answer with a token whose lifetime is not given. */
const OwnToken = z.object({ token: z.string().regex(/^[\x21-\x7e]{1,8192}$/) })

interface Held {
  token: string | undefined
  /** In milliseconds of `performance.now()`: the wall clock may be set meanwhile. */
  until: number
}

export interface LinkTokensOptions {
  source: TokenSource
  caFiles: readonly string[]
  proxies: ProxySettings
}

/** The token for calls to the control plane, requested when there is none (control-plane.md 1.5). */
export class LinkTokens {
  readonly #options: LinkTokensOptions
  readonly #stop = new AbortController()
  #held: Held | undefined
  #asking: Promise<Held> | undefined

  /** @throws {RunnerError} `config_invalid` for a text that is no public key, and for a key that is too short for the session's id. */
  constructor(options: LinkTokensOptions) {
    this.#options = options
    if (options.source.kind === 'session') bearerOf(options.source)
  }

  /** Returns the token; undefined when none is needed. @throws {LinkFailure} */
  async current(signal: AbortSignal): Promise<string | undefined> {
    const { source } = this.#options
    if (source.kind === 'none') return undefined
    if (source.kind === 'fixed') return source.token
    if (this.#held !== undefined && performance.now() < this.#held.until) return this.#held.token
    this.#asking ??= this.#ask(source).finally(() => {
      this.#asking = undefined
    })
    this.#held = await unlessAborted(signal, this.#asking)
    return this.#held.token
  }

  /** Discards a token that the server no longer accepts. Returns whether another one can be requested. */
  forget(token: string | undefined): boolean {
    if (this.#held?.token === token) this.#held = undefined
    return this.#options.source.kind === 'bootstrap' || this.#options.source.kind === 'session'
  }

  close(): void {
    this.#stop.abort()
  }

  async #ask(source: Extract<TokenSource, { url: string }>): Promise<Held> {
    const { status, body } = await this.#request(source.url, bearerOf(source))
    if (status >= 400 && status < 500 && !FOR_NOW.has(status))
      throw new LinkFailure(`The control plane gives no token: ${status}.`, { remedy: 'refused' })
    if (status !== 200) throw again(`The control plane answers ${status} when asked for a token.`)
    if (source.kind === 'session') {
      const { token } = parseAnswer(OwnToken, body)
      return { token, until: Number.POSITIVE_INFINITY }
    }
    const { token, expires_at } = parseAnswer(SessionToken, body)
    // With a wrong clock, an expired token must not be kept, and a new one not be requested at each call.
    const lifetime = Math.min(Math.max(expires_at * 1000 - Date.now(), 2 * LEFT_MS_MIN), LIFETIME_MS_MAX)
    return { token, until: performance.now() + lifetime - LEFT_MS_MIN }
  }

  /** Sends a request. Redirects are not followed: they would carry the secret elsewhere. */
  async #request(url: string, bearer: string): Promise<{ status: number; body: string }> {
    const { caFiles, proxies } = this.#options
    const { hostname: host, port, protocol } = new URL(url)
    const proxy = proxies.proxyFor({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)) }) ?? null
    const dispatcher = await createDispatcher({ proxy, caFiles, timeoutMs: REQUEST_MS_MAX })
    try {
      return await within({ signal: this.#stop.signal, timeoutMs: REQUEST_MS_MAX }, async (signal) => {
        const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json' }
        const answer = await request(url, { dispatcher, headers, signal })
        const pieces: Buffer[] = []
        let bytes = 0
        for await (const piece of answer.body) {
          const read = Buffer.from(piece)
          pieces.push(read)
          bytes += read.length
          if (bytes > ANSWER_BYTES_MAX) throw new Error(`more than ${ANSWER_BYTES_MAX} bytes came`)
        }
        return { status: answer.statusCode, body: Buffer.concat(pieces).toString() }
      })
    } catch (error) {
      throw again(`The control plane was not reached for a token: ${toMessage(error)}`)
    } finally {
      await dispatcher.destroy()
    }
  }
}

function bearerOf(source: Extract<TokenSource, { url: string }>): string {
  if (source.kind === 'bootstrap') return source.token
  const padding = constants.RSA_PKCS1_OAEP_PADDING
  const key = { key: readKey(source.publicKey), padding, oaepHash: 'sha256' }
  try {
    return publicEncrypt(key, Buffer.from(source.sessionId)).toString('base64')
  } catch {
    const message = 'AMBIENT_CP_TOKEN_PUBLIC_KEY: is too short for the session’s id; 2048 bits are usual.'
    throw new RunnerError('config_invalid', message)
  }
}

/** Reads an RSA public key: PEM, or the base64 of PEM. @throws {RunnerError} `config_invalid`. */
function readKey(text: string): KeyObject {
  try {
    const key = createPublicKey(
      text.startsWith('-----') ? text : Buffer.from(text, 'base64').toString('utf8'),
    )
    if (key.asymmetricKeyType === 'rsa') return key
  } catch {
    // Reported below, without OpenSSL's message.
  }
  const message = 'AMBIENT_CP_TOKEN_PUBLIC_KEY: must be an RSA public key, as PEM or as its base64.'
  throw new RunnerError('config_invalid', message)
}

/** Parses an answer. The error contains nothing of the body, which is a secret. */
function parseAnswer<T>(schema: z.ZodType<T>, body: string): T {
  try {
    return schema.parse(JSON.parse(body))
  } catch {
    throw again('The control plane’s answer is no token of the kind that was asked for.')
  }
}

function again(message: string): LinkFailure {
  return new LinkFailure(message, { remedy: 'again' })
}
