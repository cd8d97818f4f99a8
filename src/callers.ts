// The callers that the environment allows: origins of pages, and trusted proxies.
import proxyAddr from '@fastify/proxy-addr'
import { z } from 'zod'

const ORIGINS =
  'must be origins as browsers send them, such as https://app.example or http://localhost:3000: no path, no *, and not null, which any sandboxed page is'
/**
 * The origin of a browser extension or of an app's own web view. `originOf` handles http and https separately. The
 * other excluded schemes never occur in an `Origin`.
 */
const OTHER_SCHEME =
  /^(?!(?:https?|wss?|ftp|file|data|blob|about|javascript):)[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(?::\d{1,5})?$/

/** The origin of a page, as a browser writes it. Upper case, a default port and a final slash make no difference. */
export const WebOrigin = z.string().transform((text, context) => {
  const origin = originOf(text)
  if (origin === undefined) context.addIssue(ORIGINS)
  return origin ?? z.NEVER
})

function originOf(text: string): string | undefined {
  if (OTHER_SCHEME.test(text)) return text
  if (!/^https?:\/\/[^/?#@\\\s*]+\/?$/i.test(text) || !URL.canParse(text)) return undefined
  return new URL(text).origin
}

export const PROXIES = 'must be addresses or networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal'

export function areProxies(addresses: readonly string[]): boolean {
  try {
    proxyAddr.compile([...addresses])
    return true
  } catch {
    return false
  }
}
