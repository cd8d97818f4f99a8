import fastifyCors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

const EXPOSED = ['Retry-After']
/** How long a browser may cache the answer to a preflight, in seconds. */
const LEAVE_SECONDS = 600

/**
 * Lets pages of the listed origins call every route and read its answers, including refusals and streams. Their
 * preflights carry no token and are answered before the checks of `doors.ts`. The requests that follow are checked as
 * usual. Other origins get no permission. With an empty list, no CORS header is ever sent.
 */
export async function allowOrigins(app: FastifyInstance, allowedOrigins: readonly string[]): Promise<void> {
  if (allowedOrigins.length === 0) return
  await app.register(fastifyCors, {
    origin: (origin, decide) => {
      decide(null, origin !== undefined && allowedOrigins.includes(origin) ? origin : false)
    },
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    // Without `allowedHeaders` every requested header is allowed, because applications add their own.
    exposedHeaders: EXPOSED,
    maxAge: LEAVE_SECONDS,
    strictPreflight: false,
  })
}

/** Returns the same headers for an answer that Fastify does not send. */
export function leaveFor(
  origin: string | undefined,
  allowedOrigins: readonly string[],
): Record<string, string> {
  if (allowedOrigins.length === 0) return {}
  if (origin === undefined || !allowedOrigins.includes(origin)) return { vary: 'Origin' }
  const exposed = EXPOSED.join(', ')
  return {
    vary: 'Origin',
    'access-control-allow-origin': origin,
    'access-control-expose-headers': exposed,
  }
}
