import { createHash, timingSafeEqual } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'
import type { Tickets } from './tickets.ts'

export interface DoorOptions {
  /** Every route behind the door needs it, when set. */
  token: string | undefined
  /** Host names, without port, that requests may name, beside the loopback ones; `*` allows any. */
  allowedHosts: readonly string[]
  /** Origins (`https://app.example`) whose pages may call, beside the runner's own. */
  allowedOrigins: readonly string[]
}

const LOOPBACK_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i

/** The token of one request: a header of its own, a bearer, or (WebSocket) the subprotocol `bearer.<token>`. */
function givenToken(request: FastifyRequest): string | undefined {
  const own = request.headers['x-ambient-session-token']
  if (typeof own === 'string') return own
  const bearer = /^Bearer +(.+)$/i.exec(request.headers.authorization ?? '')?.[1]
  if (bearer !== undefined) return bearer
  const protocols = request.headers['sec-websocket-protocol']?.split(',') ?? []
  return protocols
    .map((protocol) => protocol.trim())
    .find((protocol) => protocol.startsWith('bearer.'))
    ?.slice('bearer.'.length)
}

/**
 * Refuses a request whose `Host` is none of ours (DNS rebinding), or that comes from another origin's page.
 *
 * @throws {RunnerError} `host_not_allowed`, `origin_not_allowed`, `invalid_input`.
 */
export function checkPlace(request: FastifyRequest, options: DoorOptions): void {
  // Behind a trusted proxy `host` is the name that the browser asked; a rebound one may be either.
  const { host, protocol } = request
  if (![request.headers.host ?? '', host].every((name) => isAllowedHost(name, options))) {
    throw new RunnerError(
      'host_not_allowed',
      'The Host header names no host of this runner; list it in AGUI_ALLOWED_HOSTS.',
    )
  }
  // A trusted proxy may let through what its client wrote, and the own origin is made of it.
  if (!/^https?$/i.test(protocol))
    throw new RunnerError('invalid_input', 'The scheme that the proxy forwards is neither http nor https.')
  const { origin } = request.headers
  if (
    origin !== undefined &&
    origin !== ownOrigin(protocol, host) &&
    !options.allowedOrigins.includes(origin)
  ) {
    throw new RunnerError(
      'origin_not_allowed',
      'Pages of this origin may not call the runner; list it in AGUI_ALLOWED_ORIGINS.',
    )
  }
}

function isAllowedHost(host: string, { allowedHosts }: DoorOptions): boolean {
  const name = host.replace(/:\d*$/, '')
  if (LOOPBACK_NAMES.test(name)) return true
  return allowedHosts.some((allowed) => allowed === '*' || allowed.toLowerCase() === name.toLowerCase())
}

/** As a browser writes it, without a port that goes without saying. */
function ownOrigin(protocol: string, host: string): string {
  const origin = `${protocol}://${host}`
  return URL.canParse(origin) ? new URL(origin).origin : origin
}

/** @throws {RunnerError} `unauthorized`: there is a token, and the request does not have it. */
export function checkToken(request: FastifyRequest, { token }: DoorOptions, tickets: Tickets): void {
  const given = givenToken(request)
  const ticket = given === undefined ? tickets.given(request) : undefined
  if (ticket !== undefined) {
    tickets.redeem(ticket, request)
    return
  }
  if (token === undefined || isSame(given ?? '', token)) return
  throw new RunnerError(
    'unauthorized',
    'Send the session token as X-Ambient-Session-Token or as Authorization: Bearer.',
  )
}

/** Whether there is a token, and the request names none, right or wrong. */
export function lacksToken(request: FastifyRequest, { token }: DoorOptions): boolean {
  return token !== undefined && givenToken(request) === undefined
}

/** In constant time, whatever the lengths: digests are compared. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
