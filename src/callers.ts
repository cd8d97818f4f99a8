// Who may call from elsewhere, as the environment names them.
import proxyAddr from '@fastify/proxy-addr'
import { z } from 'zod'

const ORIGIN = /^(null|[a-z][\w+.-]*:\/\/[^/?#@\s*]+\/?)$/i

/** The origin of a page, as a browser writes it. */
export const WebOrigin = z
  .string()
  .regex(ORIGIN, 'must be origins such as https://app.example, without a path and without *')
  .transform((text) => (/^https?:/i.test(text) && URL.canParse(text) ? new URL(text).origin : text))

export const PROXIES = 'must be addresses or networks such as 10.0.0.0/8, or loopback, linklocal, uniquelocal'

export function areProxies(addresses: readonly string[]): boolean {
  try {
    proxyAddr.compile([...addresses])
    return true
  } catch {
    return false
  }
}
