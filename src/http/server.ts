import Fastify, {
  type FastifyBaseLogger,
  type FastifyInstance,
  type FastifyPluginAsync,
  type FastifyReply,
  type FastifyRequest,
  LogController,
} from 'fastify'
import { httpAnswered } from '../channels.ts'
import type { DocumentedRoute } from './document/openapi.ts'
import { allowOrigins } from './doors/cors.ts'
import { checkHostAndOrigin, checkToken, type DoorOptions } from './doors/doors.ts'
import { createErrorHandler, createNotFoundHandler } from './doors/error-answers.ts'
import { forwardElsewhere, type Whereabouts } from './doors/forward-elsewhere.ts'
import { readForwarded } from './doors/forwarded.ts'
import { parseJsonBody } from './doors/json-body.ts'
import { limitRequest, RateLimit } from './doors/rate-limit.ts'
import { checkCoding, checkHead, type HeadLimits, readableUrl } from './doors/request-head.ts'
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
  /** Addresses and networks of proxies whose `Forwarded` and `X-Forwarded-*` headers are trusted. */
  trustedProxies?: readonly string[]
  requestBodyBytesMax: number
  /** Whether requests for a thread that lives on another runner are forwarded to that runner. */
  forwardRuns: boolean
  whereabouts: Whereabouts
  /** Upper bound of the requests from one address. Pages, probes and other routes are counted separately. */
  requestsPerMinuteMax: number
  /** Upper bound of the requests from one address that the checks of Host, Origin and token refuse. */
  authFailuresPerMinuteMax: number
  /** The options of the platform's routes; undefined in a process without a workspace. */
  platform: PlatformRoutesOptions | undefined
}

/**
 * Stand-ins for Fastify's own validator and serialiser, which it would load by default: 170 files, for schemas that no
 * route has. Routes parse with zod and answer plain JSON.
 */
const NO_COMPILERS = {
  buildValidator: () => () => {
    throw new TypeError('routes parse with zod, not with a schema for Fastify')
  },
  buildSerializer: () => () => JSON.stringify,
}

/** Builds the server with all its routes. It never listens: a `Listener` gives it its requests and handshakes. */
export async function buildServer(options: ServerOptions): Promise<FastifyInstance> {
  const answerError = createErrorHandler(options.redactor)
  const handleError = options.forwardRuns ? forwardElsewhere(answerError, options.whereabouts) : answerError
  const { trustedProxies = [], allowedOrigins } = options
  const app = Fastify({
    loggerInstance: options.logger,
    logController: new LogController({ disableRequestLogging: true }),
    trustProxy: trustedProxies.length === 0 ? false : [...trustedProxies],
    bodyLimit: options.requestBodyBytesMax,
    // An id that is too long gets an answer that says so. With a lower limit the router would answer 404.
    routerOptions: { maxParamLength: options.urlBytesMax },
    schemaController: { compilersFactory: NO_COMPILERS },
    return503OnClosing: false,
    rewriteUrl: (request) => readableUrl(request, options),
    frameworkErrors: handleError,
  })
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
  // A browser tab cannot send a token when it opens a page. So pages need none, and contain nothing that needs one.
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
 * Returns the checks of the routes, and those of pages, which require no token. Only refused requests count towards the
 * limit of failures, so that wrong attempts of others never lock out a client with the token. Behind a proxy all
 * clients have one address, and on loopback the agent's own tools share the address of the control plane.
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
      checkHostAndOrigin(request, options)
      checkToken(request, options, tickets)
    }),
    pageDoors: counted((request) => checkHostAndOrigin(request, options)),
  }
}

/** Returns a plugin of routes with one rate limit of their own, so that a flood elsewhere does not stop a probe. */
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

/** Collects every route that is registered from now on, except HEAD, which is GET without its body. */
function collectRoutes(app: FastifyInstance): readonly DocumentedRoute[] {
  const routes: DocumentedRoute[] = []
  app.addHook('onRoute', ({ method: methods, url, config }) => {
    for (const method of [methods].flat()) {
      // Called when the document is requested, not when the server starts.
      if (method !== 'HEAD') routes.push({ method, url, facts: () => config?.about?.() })
    }
  })
  return routes
}

function observe(app: FastifyInstance): void {
  app.addHook('onRequest', (_request, reply, done) => {
    // A browser must never take an answer for a page or a script against its content type.
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
 * Parses and checks every request before its route's handler runs. An empty body with a JSON content type counts as no
 * body, because `fetch` and proxies send it with a bare POST.
 */
function acceptJson(app: FastifyInstance, limits: SentLimits): void {
  const parse = async (request: FastifyRequest, bytes: Buffer): Promise<unknown> => {
    if (bytes.length === 0) return undefined
    checkCoding(request)
    return parseJsonBody(bytes, 'the body', limits)
  }
  // Fastify's own reads text/plain too, which a page of another origin may send without a preflight.
  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'buffer' }, parse)
  app.addHook('preValidation', async ({ params, query, body }) => {
    checkSent(params, 'the path', limits)
    checkSent(query, 'the query', limits)
    checkSent(body, 'the body', limits)
  })
}
