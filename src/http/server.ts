import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { connectionDropped, httpAnswered } from '../channels.ts'
import type { DocumentedRoute } from './document/openapi.ts'
import { clientErrors, refuseExpectations } from './doors/client-errors.ts'
import { allowOrigins } from './doors/cors.ts'
import { checkPlace, checkToken, type DoorOptions } from './doors/doors.ts'
import { createErrorHandler, createNotFoundHandler } from './doors/error-answers.ts'
import { forwardElsewhere } from './doors/forward-elsewhere.ts'
import { readForwarded } from './doors/forwarded.ts'
import { parseJsonBody } from './doors/json-body.ts'
import { limitRequest, RateLimit } from './doors/rate-limit.ts'
import { checkHead, type HeadLimits, readableUrl } from './doors/request-head.ts'
import { checkSent, type SentLimits } from './doors/sent-ids.ts'
import { Tickets } from './doors/tickets.ts'
import { type PlatformRoutesOptions, platformRoutes } from './platform/platform.ts'
import { consoleRoutes } from './routes/console.ts'
import { docsRoutes, documentOf, documentRoutes } from './routes/document.ts'
import { type EventRoutesOptions, eventRoutes } from './routes/events.ts'
import { type HealthRoutesOptions, livenessRoutes, readinessRoutes } from './routes/health.ts'
import { type MetricsRoutesOptions, metricsRoutes } from './routes/metrics.ts'
import { partRoutes } from './routes/parts.ts'
import { type RunRoutesOptions, runRoutes } from './routes/run.ts'
import { type SocketRoutesOptions, socketRoutes } from './routes/socket.ts'
import { type ThreadRoutesOptions, threadRoutes } from './routes/threads.ts'
import { ticketRoutes } from './routes/tickets.ts'

export interface ServerOptions
  extends RunRoutesOptions,
    EventRoutesOptions,
    ThreadRoutesOptions,
    Omit<SocketRoutesOptions, 'tickets'>,
    HealthRoutesOptions,
    MetricsRoutesOptions,
    DoorOptions,
    HeadLimits,
    SentLimits {
  logger: FastifyBaseLogger
  /** Addresses and networks whose `Forwarded` and `X-Forwarded-*` are believed. */
  trustedProxies?: readonly string[]
  requestBodyBytesMax: number
  /** What concerns a thread that lives on another runner is sent on to that one. */
  forwardRuns: boolean
  /** Of the request line and the headers together. */
  headersBytesMax: number
  /** A head must be complete within this, else the connection is closed (slow loris). */
  headersTimeoutMs: number
  /** A whole request, its body included; answers may take for ever. */
  requestTimeoutMs: number
  /** How long a connection may wait for its next request. */
  keepAliveTimeoutMs: number
  subscribersMax: number
  /** Connections beside those of the subscribers; what comes above is hung up on. */
  otherConnectionsMax: number
  /** From one address; for pages and probes it is counted apart. */
  requestsPerMinuteMax: number
  /** That the doors have refused, from one address. */
  authFailuresPerMinuteMax: number
  /** Undefined where there is no workspace. */
  platform: PlatformRoutesOptions | undefined
}

/** How often time-outs are looked at, at the least; Node's own 30 s would let a slow loris live four times as long. */
const TIMEOUT_CHECK_MS = 5000

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
  const answerError = createErrorHandler(options.redactor)
  const handleError = options.forwardRuns ? forwardElsewhere(answerError) : answerError
  const { trustedProxies = [], allowedOrigins } = options
  const unread = clientErrors(allowedOrigins)
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    bodyLimit: options.requestBodyBytesMax,
    requestTimeout: options.requestTimeoutMs,
    keepAliveTimeout: options.keepAliveTimeoutMs,
    // A missing Host is refused by the doors, in the shape of every other error.
    http: {
      maxHeaderSize: options.headersBytesMax,
      headersTimeout: options.headersTimeoutMs,
      connectionsCheckingInterval: Math.min(TIMEOUT_CHECK_MS, Math.ceil(options.headersTimeoutMs / 2)),
      requireHostHeader: false,
    },
    // An id that is too long gets an answer that says so; the router would know no such route.
    routerOptions: { maxParamLength: options.urlBytesMax },
    forceCloseConnections: 'idle',
    schemaController: { compilersFactory: NO_COMPILERS },
    return503OnClosing: false,
    clientErrorHandler: unread.answer,
    rewriteUrl: (request) => readableUrl(request, options),
    frameworkErrors: handleError,
  })
  const max = options.subscribersMax + options.otherConnectionsMax
  app.server.maxConnections = max
  app.server.on('drop', () => connectionDropped.publish({ max }))
  app.server.on('request', unread.onRequest)
  refuseExpectations(app.server, allowedOrigins)
  observe(app)
  await allowOrigins(app, allowedOrigins)
  readForwarded(app, trustedProxies)
  const document = documentOf(collectRoutes(app))
  app.addHook('onRequest', async (request) => checkHead(request, options))
  app.setErrorHandler(handleError)
  app.setNotFoundHandler(createNotFoundHandler(options.redactor))
  acceptJson(app, options)
  const tickets = new Tickets(options)
  const { doors, pageDoors } = guard(options, tickets)
  const limited = (check: Check, ...routes: FastifyPluginAsync[]): FastifyPluginAsync =>
    limitedRoutes(options, check, routes)
  await app.register(livenessRoutes(options))
  // A browser tab can send no token: pages do without, and hold nothing that needs one.
  const pages = [consoleRoutes(), docsRoutes({ ...options, document, check: doors })]
  await app.register(limited(pageDoors, ...pages))
  await app.register(limited(doors, readinessRoutes(options), metricsRoutes(options)))
  await app.register(
    limited(
      doors,
      runRoutes(options),
      eventRoutes(options),
      socketRoutes({ ...options, tickets }),
      ticketRoutes(tickets),
      threadRoutes(options),
      partRoutes(options),
      ...(options.platform === undefined ? [] : [platformRoutes(options.platform)]),
      documentRoutes(document),
    ),
  )
  return app
}

type Check = (request: FastifyRequest, reply: FastifyReply) => void

/**
 * The doors, and those of pages, which ask for no token. Whoever has the token gets in, whatever others have tried:
 * behind a proxy all have one address, and on loopback the agent's own tools share it with the control plane.
 */
function guard(options: ServerOptions, tickets: Tickets): { doors: Check; pageDoors: Check } {
  const failures = new RateLimit({
    name: 'AUTH_FAILURES_PER_MINUTE_MAX',
    perMinute: options.authFailuresPerMinuteMax,
  })
  const counted = (check: (request: FastifyRequest) => void): Check => {
    return (request, reply) => {
      try {
        check(request)
      } catch (error) {
        limitRequest(failures, request, reply)
        throw error
      }
    }
  }
  return {
    doors: counted((request) => {
      checkPlace(request, options)
      checkToken(request, options, tickets)
    }),
    pageDoors: counted((request) => checkPlace(request, options)),
  }
}

/** Routes behind `check` that share a number of requests a minute, so that a flood elsewhere does not stop a probe. */
function limitedRoutes(
  { requestsPerMinuteMax }: ServerOptions,
  check: Check,
  routes: readonly FastifyPluginAsync[],
): FastifyPluginAsync {
  const requests = new RateLimit({ name: 'REQUESTS_PER_MINUTE_MAX', perMinute: requestsPerMinuteMax })
  return async (app) => {
    app.addHook('onRequest', async (request, reply) => {
      check(request, reply)
      limitRequest(requests, request, reply)
    })
    for (const route of routes) await app.register(route)
  }
}

/** Every route that is registered from now on. HEAD is GET without its body, and treated alike. */
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

/**
 * What came in is looked at before any route is. An empty body with a JSON content type counts as no body, as `fetch` and proxies
 * send it with a bare POST.
 */
function acceptJson(app: FastifyInstance, limits: SentLimits): void {
  const parse = async (_request: FastifyRequest, bytes: Buffer): Promise<unknown> =>
    bytes.length === 0 ? undefined : parseJsonBody(bytes, 'the body', limits)
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parse)
  app.addHook('preValidation', async ({ params, query, body }) => {
    checkSent(params, 'the path', limits)
    checkSent(query, 'the query', limits)
    checkSent(body, 'the body', limits)
  })
}
