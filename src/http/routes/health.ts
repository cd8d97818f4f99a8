import type { AgentCapabilities } from '@ag-ui/core'
import type { FastifyInstance } from 'fastify'

export interface Check {
  name: string
  ok: boolean
  /** What is wrong and what to do, when it is. */
  message?: string
}

export interface HealthRoutesOptions {
  sessionId: string | undefined
  /** What a run needs, each tried. */
  checks(signal: AbortSignal): Promise<Check[]>
  capabilities: AgentCapabilities & Record<string, unknown>
}

/** Liveness, open to everybody: it tells nothing but that the process serves. */
export function livenessRoutes({ sessionId }: HealthRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    for (const url of ['/health', '/healthz']) {
      app.get(url, async () => ({ status: 'healthy', session_id: sessionId ?? null }))
    }
  }
}

export function readinessRoutes({ checks, capabilities }: HealthRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/ready', async (request, reply) => {
      const left = new AbortController()
      reply.raw.once('close', () => left.abort())
      const results = await checks(left.signal)
      const isReady = results.every(({ ok }) => ok)
      if (!isReady) request.log.warn({ checks: results.filter(({ ok }) => !ok) }, 'not ready')
      return reply.status(isReady ? 200 : 503).send({ ready: isReady, checks: results })
    })
    for (const url of ['/capabilities', '/agui/capabilities']) app.get(url, async () => capabilities)
  }
}
