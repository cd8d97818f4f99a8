import fastifyCors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'
import { EXPOSED } from './cors-headers.ts'

/** How long a browser may cache the answer to a preflight, in seconds. */
const PREFLIGHT_SECONDS = 600

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
    exposedHeaders: [...EXPOSED],
    maxAge: PREFLIGHT_SECONDS,
    strictPreflight: false,
  })
}
