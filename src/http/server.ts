import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  LogController,
} from 'fastify'
import { ID_CHARS_MAX } from '../agui/input.ts'
import { checkDoors, type DoorOptions } from './doors.ts'
import { handleError, handleNotFound } from './errors.ts'
import { type EventRoutesOptions, eventRoutes } from './routes/events.ts'
import { type HealthRoutesOptions, livenessRoutes, readinessRoutes } from './routes/health.ts'
import { type RunRoutesOptions, runRoutes } from './routes/run.ts'
import { type SessionRoutesOptions, sessionRoutes } from './routes/sessions.ts'
import { type SocketRoutesOptions, socketRoutes } from './routes/socket.ts'

export interface ServerOptions
  extends RunRoutesOptions,
    EventRoutesOptions,
    SessionRoutesOptions,
    SocketRoutesOptions,
    HealthRoutesOptions,
    DoorOptions {
  logger: FastifyBaseLogger
  requestBodyBytesMax: number
}

/** A head must be complete within this, else the connection is closed (slow loris). */
const HEADERS_TIMEOUT_MS = 10_000
/** A whole request, its body included; answers may take for ever. */
const REQUEST_TIMEOUT_MS = 60_000
/** A percent-encoded id: up to four bytes a character, three characters a byte. */
const PARAM_CHARS_MAX = ID_CHARS_MAX * 12

/** The routes on one instance; does not listen. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.requestBodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    http: { headersTimeout: HEADERS_TIMEOUT_MS },
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    forceCloseConnections: 'idle',
    return503OnClosing: false,
  })
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  acceptAnyJson(app)
  await app.register(livenessRoutes(options))
  await app.register(guardedRoutes(options))
  return app
}

/** Everything behind the doors. */
function guardedRoutes(options: ServerOptions): FastifyPluginAsync {
  return async (app) => {
    app.addHook('onRequest', async (request) => checkDoors(request, options))
    await app.register(runRoutes(options))
    await app.register(eventRoutes(options))
    await app.register(socketRoutes(options))
    await app.register(sessionRoutes(options))
    await app.register(readinessRoutes(options))
  }
}

/** An empty body with a JSON content type is none, as `fetch` and proxies send it with a bare POST. */
function acceptAnyJson(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'remove')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else void parseJson(request, body.toString(), done)
  })
}
