import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import type { IncomingHttpHeaders } from 'node:http'
import { SESSION_HEADER } from '../model-route/credentials.ts'

const TOKEN_BYTES = 32

/** 256 bits; only its digest is kept. */
export function newToken(): string {
  return `agui_${randomBytes(TOKEN_BYTES).toString('base64url')}`
}

export function digestOf(token: string): Buffer {
  return createHash('sha256').update(token).digest()
}

export function isTokenOf(digest: Buffer, token: string): boolean {
  return timingSafeEqual(digest, digestOf(token))
}

/** Every credential that a request shows: a key, a bearer token, the password of Basic, our own header. */
export function tokensIn(headers: IncomingHttpHeaders): string[] {
  const [, scheme = '', value = ''] = /^(bearer|basic) +(\S+)$/i.exec(headers.authorization ?? '') ?? []
  const shown = scheme.toLowerCase() === 'basic' ? passwordOf(value) : value
  return [headers['x-api-key'], headers[SESSION_HEADER], shown].flatMap((text) =>
    typeof text === 'string' && text !== '' ? [text] : [],
  )
}

function passwordOf(basic: string): string {
  const text = Buffer.from(basic, 'base64').toString('utf8')
  return text.slice(text.indexOf(':') + 1)
}
