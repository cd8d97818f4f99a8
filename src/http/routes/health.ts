import type { AgentCapabilities } from '@ag-ui/core'
import type { FastifyInstance } from 'fastify'
import { z } from 'zod'
import { about, ok } from '../document/about.ts'
import { LIVENESS_PATHS, liveness } from '../doors/liveness.ts'
import { leaving } from '../stream/leaving.ts'

export interface Check {
  name: string
  ok: boolean
  /** What is wrong and what to do, when the check failed. */
  message?: string
}

export interface HealthRoutesOptions {
  sessionId: string | undefined
  /** Tries each thing that a run needs. */
  checks(signal: AbortSignal): Promise<Check[]>
  capabilities: AgentCapabilities & Record<string, unknown>
}

const LIVENESS = about(() => ({
  tag: 'server',
  summary: 'The process serves.',
  isOpen: 'to-all',
  answers: ok('It does.', z.object({ status: z.literal('healthy'), session_id: z.string().nullable() })),
}))

const READINESS = about(() => {
  const check = z.object({ name: z.string(), ok: z.boolean(), message: z.string().optional() })
  const json = z.object({ ready: z.boolean(), checks: z.array(check) })
  return {
    tag: 'server',
    summary: 'A run would work: each thing it needs is tried.',
    answers: {
      200: { says: 'It would.', json },
      503: { says: 'It would not; the failing check says why.', json },
    },
  }
})

const CAPABILITIES = about(() => ({
  tag: 'server',
  summary: "AG-UI's AgentCapabilities, and what the platform reads beside them.",
  answers: ok('What is built.', z.looseObject({})),
}))

export function livenessRoutes({ sessionId }: HealthRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    for (const url of LIVENESS_PATHS) app.get(url, LIVENESS, async () => liveness(sessionId))
  }
}

export function readinessRoutes({ checks, capabilities }: HealthRoutesOptions) {
  return async (app: FastifyInstance): Promise<void> => {
    app.get('/ready', READINESS, async (request, reply) => {
      const left = leaving(reply)
      const results = await checks(left)
      left.throwIfAborted()
      const isReady = results.every(({ ok }) => ok)
      if (!isReady) request.log.warn({ checks: results.filter(({ ok }) => !ok) }, 'not ready')
      return reply.status(isReady ? 200 : 503).send({ ready: isReady, checks: results })
    })
    for (const url of ['/capabilities', '/agui/capabilities'])
      app.get(url, CAPABILITIES, async () => capabilities)
  }
}
