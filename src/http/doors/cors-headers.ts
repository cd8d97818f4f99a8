/** The headers that a page may read beside those that every page may. */
export const EXPOSED: readonly string[] = ['Retry-After']

/** Returns the headers of `allowOrigins` for an answer that Fastify does not send. */
export function corsHeaders(
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
