import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  LogController,
} from 'fastify'
import { ID_CHARS_MAX } from '../agui/input.ts'
import { httpAnswered } from '../channels.ts'
import { answerClientError, refuseExpectations } from './client-errors.ts'
import { checkDoors, type DoorOptions } from './doors.ts'
import { createErrorHandler, handleNotFound } from './errors.ts'
import type { DocumentedRoute } from './openapi.ts'
import { documentRoutes } from './routes/document.ts'
import { type EventRoutesOptions, eventRoutes } from './routes/events.ts'
import { type HealthRoutesOptions, livenessRoutes, readinessRoutes } from './routes/health.ts'
import { type MetricsRoutesOptions, metricsRoutes } from './routes/metrics.ts'
import { type PlatformRoutesOptions, platformRoutes } from './routes/platform/platform.ts'
import { type RunRoutesOptions, runRoutes } from './routes/run.ts'
import { type SessionRoutesOptions, sessionRoutes } from './routes/sessions.ts'
import { type SocketRoutesOptions, socketRoutes } from './routes/socket.ts'

export interface ServerOptions
  extends RunRoutesOptions,
    EventRoutesOptions,
    SessionRoutesOptions,
    SocketRoutesOptions,
    HealthRoutesOptions,
    MetricsRoutesOptions,
    DoorOptions {
  logger: FastifyBaseLogger
  requestBodyBytesMax: number
  subscribersMax: number
  platform: PlatformRoutesOptions
}

/** A head must be complete within this, else the connection is closed (slow loris). */
const HEADERS_TIMEOUT_MS = 10_000
/** A whole request, its body included; answers may take for ever. */
const REQUEST_TIMEOUT_MS = 60_000
/** How often both are looked at; Node's own 30 s would let a slow loris live four times as long. */
const TIMEOUT_CHECK_MS = 5000
/** Connections beside those of the subscribers; what comes above is hung up on. */
const CONNECTIONS_SPARE = 1024
/** A percent-encoded id: up to four bytes a character, three characters a byte. */
const PARAM_CHARS_MAX = ID_CHARS_MAX * 12

/**
 * Routes parse with zod and answer plain JSON. Without a word Fastify would load its own validator and serialiser,
 * 170 files, for schemas that no route has.
 */
const NO_COMPILERS = {
  buildValidator: () => () => {
    throw new TypeError('routes parse with zod, not with a schema for Fastify')
  },
  buildSerializer: () => () => JSON.stringify,
}

/** The routes on one instance; does not listen. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const handleError = createErrorHandler(options.redactor)
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: options.requestBodyBytesMax,
    requestTimeout: REQUEST_TIMEOUT_MS,
    // A missing Host is refused by the doors, in the shape of every other error.
    http: {
      headersTimeout: HEADERS_TIMEOUT_MS,
      connectionsCheckingInterval: TIMEOUT_CHECK_MS,
      requireHostHeader: false,
    },
    routerOptions: { maxParamLength: PARAM_CHARS_MAX },
    forceCloseConnections: 'idle',
    schemaController: { compilersFactory: NO_COMPILERS },
    return503OnClosing: false,
    clientErrorHandler: answerClientError,
    frameworkErrors: handleError,
  })
  app.server.maxConnections = options.subscribersMax + CONNECTIONS_SPARE
  refuseExpectations(app.server)
  const routes = collectRoutes(app)
  observe(app)
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(handleNotFound)
  acceptAnyJson(app)
  await app.register(livenessRoutes(options))
  await app.register(guardedRoutes(options, routes))
  return app
}

/** Everything behind the doors. */
function guardedRoutes(options: ServerOptions, routes: readonly DocumentedRoute[]): FastifyPluginAsync {
  return async (app) => {
    app.addHook('onRequest', async (request) => checkDoors(request, options))
    await app.register(runRoutes(options))
    await app.register(eventRoutes(options))
    await app.register(socketRoutes(options))
    await app.register(sessionRoutes(options))
    await app.register(readinessRoutes(options))
    await app.register(platformRoutes(options.platform))
    await app.register(metricsRoutes(options))
    await app.register(documentRoutes({ routes }))
  }
}

/** Every route that is registered from now on. HEAD is GET without its body, and not told apart. */
function collectRoutes(app: FastifyInstance): readonly DocumentedRoute[] {
  const routes: DocumentedRoute[] = []
  app.addHook('onRoute', ({ method: methods, url, config }) => {
    for (const method of [methods].flat()) {
      // When the document is asked for, not when the server starts.
      if (method !== 'HEAD') routes.push({ method, url, facts: () => config?.about?.() })
    }
  })
  return routes
}

function observe(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    // No answer is ever to be taken for a page or a script that it does not say it is.
    reply.header('x-content-type-options', 'nosniff')
    done()
  })
  app.addHook('onResponse', (request, reply, done) => {
    if (httpAnswered.hasSubscribers) {
      const route = request.routeOptions.url ?? 'unknown'
      httpAnswered.publish({ method: request.method, route, status: reply.statusCode })
    }
    done()
  })
}

/** An empty body with a JSON content type is none, as `fetch` and proxies send it with a bare POST. */
function acceptAnyJson(app: FastifyInstance): void {
  const parseJson = app.getDefaultJsonParser('error', 'remove')
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (request, body, done) => {
    if (body.length === 0) done(null, undefined)
    else void parseJson(request, body.toString(), done)
  })
}
