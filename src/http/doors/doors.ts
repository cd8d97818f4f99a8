import { createHash, timingSafeEqual } from 'node:crypto'
import { isIPv6 } from 'node:net'
import type { FastifyRequest } from 'fastify'
import { RunnerError } from '../../errors.ts'
import type { Tickets } from './tickets.ts'

export interface DoorOptions {
  /** The token that every checked route requires; undefined when none is required. */
  token: string | undefined
  /** Host names without port that requests may name, beside the loopback names; `*` allows any. */
  allowedHosts: readonly string[]
  /** Origins (`https://app.example`) whose pages may call the runner, beside its own. */
  allowedOrigins: readonly string[]
}

const BEARER = 'bearer.'
const LOOPBACK_NAMES = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/i

/**
 * Returns the tokens of a request: from `X-Ambient-Session-Token` and from WebSocket subprotocols `bearer.<token>`.
 * `Authorization` counts only without these, because beside them it may be meant for a proxy in between.
 */
function givenTokens({ headers }: FastifyRequest): string[] {
  const own = headers['x-ambient-session-token']
  const protocols = headers['sec-websocket-protocol']?.split(',').map((protocol) => protocol.trim()) ?? []
  const ours = [
    ...(typeof own === 'string' ? [own] : []),
    ...protocols.flatMap((protocol) => (protocol.startsWith(BEARER) ? [protocol.slice(BEARER.length)] : [])),
  ]
  const bearer = /^Bearer +(.+)$/i.exec(headers.authorization ?? '')?.[1]
  return ours.length > 0 || bearer === undefined ? ours : [bearer]
}

/**
 * Refuses a request whose `Host` is not the runner's (DNS rebinding), or that comes from a page of another origin.
 *
 * @throws {RunnerError} `host_not_allowed`, `origin_not_allowed`, `invalid_input`.
 */
export function checkHostAndOrigin(request: FastifyRequest, options: DoorOptions): void {
  // Behind a trusted proxy `host` is the forwarded name. Both names are checked, as either may be the rebound one.
  const { host, protocol } = request
  if (![request.headers.host ?? '', host].every((name) => isAllowedHost(name, options))) {
    throw new RunnerError(
      'host_not_allowed',
      'The Host header names no host of this runner; list it in AGUI_ALLOWED_HOSTS.',
    )
  }
  // A trusted proxy may pass on a scheme that its client wrote, and the runner's own origin is built from it.
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
  return allowedHosts.some((allowed) => allowed === '*' || inUrl(allowed) === name.toLowerCase())
}

/** An address of IPv6 stands in brackets in a Host header, and without them in Kubernetes' `status.podIP`. */
function inUrl(host: string): string {
  return (isIPv6(host) ? `[${host}]` : host).toLowerCase()
}

/** Returns the runner's own origin as a browser writes it, without a default port. */
function ownOrigin(protocol: string, host: string): string {
  const origin = `${protocol}://${host}`
  return URL.canParse(origin) ? new URL(origin).origin : origin
}

/**
 * Refuses a request without a valid token or ticket. All that the request shows must be valid: a wrong token beside a
 * right one is a mistake or an attack.
 *
 * @throws {RunnerError} `unauthorized` when a ticket or a token is wrong, or when the required token is missing.
 */
export function checkToken(request: FastifyRequest, { token }: DoorOptions, tickets: Tickets): void {
  const ticket = tickets.given(request)
  if (ticket !== undefined) tickets.redeem(ticket, request)
  // Where no token is required, a sent token is ignored: it is meant for another program.
  if (token === undefined) return
  const given = givenTokens(request)
  if (given.length === 0 ? ticket !== undefined : given.every((each) => isSame(each, token))) return
  throw new RunnerError(
    'unauthorized',
    'Send the session token as X-Ambient-Session-Token or as Authorization: Bearer.',
  )
}

/** Whether a token is required and the request has none at all, right or wrong. */
export function lacksToken(request: FastifyRequest, { token }: DoorOptions): boolean {
  return token !== undefined && givenTokens(request).length === 0
}

/** Compares digests, so that the time depends on neither the content nor the lengths. */
function isSame(given: string, expected: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(given), digest(expected))
}
