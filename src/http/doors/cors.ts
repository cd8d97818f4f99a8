import fastifyCors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

const EXPOSED = ['Retry-After']
/** How long a browser need not ask again, in seconds. */
const LEAVE_SECONDS = 600

/**
 * Lets pages of the listed origins call every route and read its answers, refusals and streams included. Their
 * preflights are answered before the doors, since those bear no token; what they then send passes the doors as ever.
 * Everybody else gets no leave. With no origin listed nothing is said at all.
 */
export async function allowOrigins(app: FastifyInstance, allowedOrigins: readonly string[]): Promise<void> {
  if (allowedOrigins.length === 0) return
  await app.register(fastifyCors, {
    origin: (origin, decide) => {
      decide(null, origin !== undefined && allowedOrigins.includes(origin) ? origin : false)
    },
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    // The headers that are asked for are allowed: applications add their own.
    exposedHeaders: EXPOSED,
    maxAge: LEAVE_SECONDS,
    strictPreflight: false,
  })
}

/** The same for an answer that Fastify does not make. */
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
