import { constants, createPublicKey, type KeyObject, publicEncrypt } from 'node:crypto'
import { request } from 'undici'
import { z } from 'zod'
import { RunnerError, toMessage } from '../errors.ts'
import type { TokenSource } from '../link-settings.ts'
import { createDispatcher } from '../model-route/dispatcher.ts'
import type { ProxySettings } from '../proxy-settings.ts'
import { unlessAborted, within } from '../within.ts'
import { LinkFailure } from './link-failure.ts'

/** Bytes of an answer that are read. */
const ANSWER_BYTES_MAX = 16_384
/** Milliseconds that one request may take. */
const REQUEST_MS_MAX = 10_000
/** A token that ends within these milliseconds is not used for anything new. */
const LEFT_MS_MIN = 30_000
/** A token of a session's own begins so; it lives at most so many milliseconds. */
const SESSION_TOKEN = /^acp-runner-v1\.[\x21-\x7e]{1,8192}$/
const LIFETIME_MS_MAX = 300_000

const SessionToken = z.object({ token: z.string().regex(SESSION_TOKEN), expires_at: z.number() })
/** Nothing is said of how long it lives. */
const OwnToken = z.object({ token: z.string().regex(/^[\x21-\x7e]{1,8192}$/) })

interface Held {
  token: string | undefined
  /** Milliseconds since the epoch. */
  until: number
}

export interface LinkTokensOptions {
  source: TokenSource
  caFiles: readonly string[]
  proxies: ProxySettings
}

/** The token that calls to the control plane bear, asked for when there is none (control-plane.md 1.5). */
export class LinkTokens {
  readonly #options: LinkTokensOptions
  readonly #stop = new AbortController()
  #held: Held | undefined
  #asking: Promise<Held> | undefined

  /** @throws {RunnerError} `config_invalid` for a public key that is none. */
  constructor(options: LinkTokensOptions) {
    this.#options = options
    if (options.source.kind === 'session') readKey(options.source.publicKey)
  }

  /** Undefined where none is needed. @throws {LinkFailure} */
  async current(signal: AbortSignal): Promise<string | undefined> {
    const { source } = this.#options
    if (source.kind === 'none') return undefined
    if (source.kind === 'fixed') return source.token
    if (this.#held !== undefined && Date.now() < this.#held.until) return this.#held.token
    this.#asking ??= this.#ask(source).finally(() => {
      this.#asking = undefined
    })
    this.#held = await unlessAborted(signal, this.#asking)
    return this.#held.token
  }

  /** The server does not take this one any more. Whether another can be had. */
  forget(token: string | undefined): boolean {
    if (this.#held?.token === token) this.#held = undefined
    return this.#options.source.kind === 'bootstrap' || this.#options.source.kind === 'session'
  }

  close(): void {
    this.#stop.abort()
  }

  async #ask(source: Extract<TokenSource, { url: string }>): Promise<Held> {
    const { status, body } = await this.#request(source.url, bearerOf(source))
    if (status >= 400 && status < 500)
      throw new LinkFailure(`The control plane gives no token: ${status}.`, { remedy: 'refused' })
    if (status !== 200) throw again(`The control plane answers ${status} when asked for a token.`)
    const now = Date.now()
    if (source.kind === 'session') {
      const { token } = parseAnswer(OwnToken, body)
      return { token, until: Number.POSITIVE_INFINITY }
    }
    const { token, expires_at } = parseAnswer(SessionToken, body)
    // A clock that differs must neither keep a dead token nor ask for a new one at each call.
    const lifetime = Math.min(Math.max(expires_at * 1000 - now, 2 * LEFT_MS_MIN), LIFETIME_MS_MAX)
    return { token, until: now + lifetime - LEFT_MS_MIN }
  }

  /** Redirects are not followed: they would carry the secret elsewhere. */
  async #request(url: string, bearer: string): Promise<{ status: number; body: string }> {
    const { caFiles, proxies } = this.#options
    const { hostname: host, port, protocol } = new URL(url)
    const proxy = proxies.proxyFor({ host, port: Number(port || (protocol === 'https:' ? 443 : 80)) }) ?? null
    const dispatcher = await createDispatcher({ proxy, caFiles, timeoutMs: REQUEST_MS_MAX })
    try {
      return await within({ signal: this.#stop.signal, timeoutMs: REQUEST_MS_MAX }, async (signal) => {
        const headers = { authorization: `Bearer ${bearer}`, accept: 'application/json' }
        const answer = await request(url, { dispatcher, headers, signal })
        let body = ''
        for await (const piece of answer.body.setEncoding('utf8')) {
          body += String(piece)
          if (body.length > ANSWER_BYTES_MAX) throw new Error(`more than ${ANSWER_BYTES_MAX} bytes came`)
        }
        return { status: answer.statusCode, body }
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
  return publicEncrypt(key, Buffer.from(source.sessionId)).toString('base64')
}

/** PEM, or the base64 of PEM. @throws {RunnerError} `config_invalid`. */
function readKey(text: string): KeyObject {
  try {
    const key = createPublicKey(
      text.startsWith('-----') ? text : Buffer.from(text, 'base64').toString('utf8'),
    )
    if (key.asymmetricKeyType === 'rsa') return key
  } catch {
    // Said below, without what OpenSSL makes of it.
  }
  const message = 'AMBIENT_CP_TOKEN_PUBLIC_KEY: must be an RSA public key, as PEM or as its base64.'
  throw new RunnerError('config_invalid', message)
}

/** Nothing of the body is said: it is a secret. */
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
