import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { SESSION_HEADER } from '../model-route/credentials.ts'

const TOKEN_BYTES = 32

/** Creates a token of 256 bits. Only its digest is kept. */
export function newToken(): string {
  return `agui_${randomBytes(TOKEN_BYTES).toString('base64url')}`
}

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

export function isTokenOf(digest: Buffer, token: string): boolean {
  return timingSafeEqual(digest, digestOf(token))
}

/** Returns every credential of a request: a key, a bearer token, a Basic password, our own header. */
export function tokensIn(headers: IncomingHttpHeaders): string[] {
  const shown = [headers.authorization, headers['proxy-authorization']].map((header) => {
    const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(header ?? '') ?? []
    return scheme.toLowerCase() === 'basic' ? passwordOf(value) : value
  })
  return [headers['x-api-key'], headers[SESSION_HEADER], ...shown].flatMap((text) =>
    typeof text === 'string' && text !== '' ? [text] : [],
  )
}

const WRONG_MAX = 10
const WRONG_MS = 60_000

/** After ten wrong tokens within a minute it refuses further ones for a minute. */
export class TokenGuard {
  #wrong: number[] = []

  get isShut(): boolean {
    const since = performance.now() - WRONG_MS
    this.#wrong = this.#wrong.filter((at) => at > since)
    return this.#wrong.length >= WRONG_MAX
  }

  noteWrong(): void {
    this.#wrong.push(performance.now())
  }
}

function passwordOf(basic: string): string {
  const text = Buffer.from(basic, 'base64').toString('utf8')
  return text.slice(text.indexOf(':') + 1)
}
