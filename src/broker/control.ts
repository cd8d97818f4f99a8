import Fastify, { type FastifyInstance } from 'fastify'
import { RunnerError } from '../errors.ts'
import { type Sessions, SessionWish } from './sessions.ts'
import { isTokenOf, tokensIn } from './token.ts'
import type { UpstreamDoors } from './upstream-doors.ts'

const BODY_BYTES_MAX = 256 * 1024

export interface ControlOptions {
  sessions: Sessions
  doors: Pick<UpstreamDoors, 'ready'>
  /** The agent's environment: placeholders instead of credentials. */
  agentEnvironment: Readonly<Record<string, string>>
  /** SHA-256 of the launcher's secret. */
  digest: Buffer
}

/** Creates the launchers' API, which listens on a socket that no agent is given. */
export function createControl(options: ControlOptions): FastifyInstance {
  const { sessions, digest, doors, agentEnvironment } = options
  const app = Fastify({ bodyLimit: BODY_BYTES_MAX, forceCloseConnections: true })
  app.addHook('onRequest', async (request) => {
    const isLauncher = tokensIn(request.headers).some((token) => isTokenOf(digest, token))
    if (!isLauncher) throw new RunnerError('unauthorized', 'The launcher secret is wrong or missing.')
  })
  app.setErrorHandler((error, _request, reply) => {
    const status = error instanceof RunnerError ? error.status : statusOf(error)
    const code = error instanceof RunnerError ? error.code : status < 500 ? 'invalid_input' : 'internal'
    const isSaid = error instanceof RunnerError || (status < 500 && error instanceof Error)
    const message = isSaid ? error.message : 'The broker failed.'
    void reply.status(status).send({ error: { code, message } })
  })
  const found = <T>(facts: T | undefined): T => {
    if (facts === undefined) throw new RunnerError('not_found', 'There is no such session.')
    return facts
  }
  app.get('/health', () => ({ status: 'healthy', agentEnvironment }))
  app.get('/ready', async (_request, reply) => {
    const upstreams = await doors.ready()
    const isReady = Object.values(upstreams).every(({ ok }) => ok)
    return reply.status(isReady ? 200 : 503).send({ status: isReady ? 'ready' : 'not_ready', upstreams })
  })
  app.get('/sessions', () => ({ sessions: sessions.list() }))
  app.post('/sessions', async (request, reply) => {
    const wish = SessionWish.safeParse(request.body)
    if (!wish.success) {
      const problems = wish.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`)
      throw new RunnerError('invalid_input', `${problems.join('; ')}.`)
    }
    return reply.status(201).send(await sessions.open(wish.data))
  })
  app.get<{ Params: { id: string } }>('/sessions/:id', ({ params }) => found(sessions.get(params.id)))
  app.post<{ Params: { id: string } }>('/sessions/:id/heartbeat', ({ params }) =>
    found(sessions.renew(params.id)),
  )
  app.delete<{ Params: { id: string } }>('/sessions/:id', async ({ params }) =>
    found(await sessions.end(params.id)),
  )
  return app
}

const statusOf = (error: unknown): number =>
  error instanceof Error && 'statusCode' in error && typeof error.statusCode === 'number'
    ? error.statusCode
    : 500
