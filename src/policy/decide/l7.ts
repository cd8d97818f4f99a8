// Judges one HTTP request on an admitted connection by its endpoint (openshell.md 1.6).

import { endpointPathMatches, pathSpecificity } from '../match/selector.ts'
import { bodyReading, l7Protocol } from '../read/endpoint.ts'
import type { Endpoint } from '../read/schema.ts'
import type { JsonRpcRequest } from '../request/body.ts'
import { absoluteTarget, parseAuthority, plainHost } from '../request/request-authority.ts'
import { type CanonicalTarget, canonicalTarget, TargetError } from '../request/target.ts'
import type { Decision, EgressRequest } from './decision.ts'
import { type CanonicalRequest, denies, type MatchedRule, permits } from './rules.ts'

type Request = EgressRequest & { method: string }

/** Judges a request. `inspected` are the endpoints among `matched` with an L7 protocol. Throws GlobError. */
export function judgeRequest(
  matched: readonly MatchedRule[],
  inspected: readonly Endpoint[],
  request: Request,
): Decision {
  const rule = matched[0]?.name ?? ''
  const deny = (reason: string): Decision => ({ verdict: 'deny', stage: 'l7', rule, reason })
  const target = readTarget(inspected, request)
  if (typeof target === 'string') return deny(target)
  if (inspected.length === 0) {
    return {
      verdict: 'allow',
      stage: 'l7',
      rule,
      reason: 'the endpoint has no protocol: every request is free',
    }
  }
  if (!authorityMatches(request))
    return deny(`the request is not for ${request.host}:${request.port} by its Host header or target`)
  const config = selectEndpoint(inspected, target.path)
  if (config === undefined) return deny(`no endpoint path covers ${target.path}`)
  if (!config.allow_encoded_slash && target.path.includes('%2F')) {
    return deny("encoded '/' (%2F) is not allowed on this endpoint")
  }
  if (l7Protocol(config) === 'sql') {
    return { verdict: 'allow', stage: 'l7', rule, reason: 'OpenShell forwards sql without inspecting it' }
  }
  const violation = protocolViolation(config, request)
  if (violation !== undefined) return deny(violation)
  const reading = isUnread(config, request) ? bodyReading(config) : undefined
  if (reading !== undefined) return { ...deny('its body is not read yet'), reading }
  const canonical: CanonicalRequest = { ...request, path: target.path, query: target.query }
  const decision = judgeByRules(matched, config, canonical)
  const isWebSocket = request.upgrade === true && l7Protocol(config) === 'websocket'
  return isWebSocket && decision.verdict !== 'deny' ? { ...decision, isWebSocket } : decision
}

/** Whether a body must be read first. An upgrade has no body; its messages come later, one by one. */
function isUnread(config: Endpoint, request: Request): boolean {
  const isFrame = request.method.toUpperCase() === 'WEBSOCKET_TEXT'
  return request.isBodyUnread === true && (isFrame || l7Protocol(config) !== 'websocket')
}

function readTarget(inspected: readonly Endpoint[], request: Request): CanonicalTarget | string {
  const allowEncodedSlash = inspected.some((endpoint) => endpoint.allow_encoded_slash)
  try {
    return canonicalTarget(request.path ?? '/', { allowEncodedSlash })
  } catch (error) {
    if (error instanceof TargetError) return error.message
    throw error
  }
}

/** Whether a target in absolute form and the Host header, where they exist, name the connection's host and port. */
function authorityMatches({ hostHeader, host, port, path = '/' }: Request): boolean {
  const expected = plainHost(host)
  const absolute = absoluteTarget(path)
  if (absolute !== undefined) {
    const { authority, defaultPort } = absolute
    if (authority?.host !== expected || (authority.port ?? defaultPort) !== port) return false
  }
  if (hostHeader === undefined) return true
  const named = parseAuthority(hostHeader)
  const isDefaultPort = port === 80 || port === 443
  return named?.host === expected && (named.port === undefined ? isDefaultPort : named.port === port)
}

/** Returns the endpoint with the most specific path. The path of a single endpoint is left to the rules and `audit`. */
function selectEndpoint(inspected: readonly Endpoint[], path: string): Endpoint | undefined {
  if (inspected.length === 1) return inspected[0]
  return inspected
    .filter((endpoint) => endpointPathMatches(endpoint.path, path))
    .reduce<Endpoint | undefined>(
      (best, next) =>
        best === undefined || pathSpecificity(next.path) >= pathSpecificity(best.path) ? next : best,
      undefined,
    )
}

/** Returns a violation that is refused whatever the enforcement says. */
function protocolViolation(config: Endpoint, request: Request): string | undefined {
  const protocol = l7Protocol(config)
  const isFrame = request.method.toUpperCase() === 'WEBSOCKET_TEXT'
  const isUpgrade = request.upgrade ?? request.method.toUpperCase() === 'GET'
  if (protocol === 'websocket' && !isFrame && !isUpgrade) return 'this endpoint takes WebSocket upgrades only'
  if (request.graphql?.error !== undefined) return `GraphQL request rejected: ${request.graphql.error}`
  if (request.jsonRpc?.error !== undefined) return `JSON-RPC request rejected: ${request.jsonRpc.error}`
  if (request.jsonRpc?.hasResponse === true && protocol !== 'mcp') {
    return 'a client may not send JSON-RPC responses'
  }
  return undefined
}

function judgeByRules(
  matched: readonly MatchedRule[],
  config: Endpoint,
  request: CanonicalRequest,
): Decision {
  const what = `${request.method} ${request.path}`
  const verdicts = splitBatch(request).map((part) => judgeOne(matched, part))
  const refused = verdicts.find((verdict) => !verdict.isAllowed)
  if (refused === undefined) {
    const rule = verdicts[0]?.rule ?? ''
    return { verdict: 'allow', stage: 'l7', rule, reason: `${what} is permitted` }
  }
  const isEnforced = config.enforcement === 'enforce'
  const suffix = isEnforced ? '' : ', but enforcement is audit'
  return {
    verdict: isEnforced ? 'deny' : 'audit',
    stage: 'l7',
    rule: refused.rule,
    reason: `${what} ${refused.isBlocked ? 'is blocked by a deny rule' : 'is not permitted'}${suffix}`,
  }
}

/** Splits a JSON-RPC batch into its calls: the batch passes when each of them would. */
function splitBatch(request: CanonicalRequest): CanonicalRequest[] {
  const batch: JsonRpcRequest | undefined = request.jsonRpc
  if (batch?.isBatch !== true || batch.calls.length === 0) return [request]
  const calls = batch.calls.map((call) => ({ ...request, jsonRpc: { calls: [call] } }))
  return batch.hasResponse === true ? [request, ...calls] : calls
}

interface RuleVerdict {
  isAllowed: boolean
  isBlocked: boolean
  rule: string
}

// Every rule is evaluated, even when the answer is clear, because a malformed glob anywhere refuses the request.
function judgeOne(matched: readonly MatchedRule[], request: CanonicalRequest): RuleVerdict {
  const rulesWhere = (judge: typeof permits): string[] =>
    matched.flatMap(({ name, endpoints }) =>
      endpoints.map((endpoint) => judge(endpoint, request)).includes(true) ? [name] : [],
    )
  const permitting = rulesWhere(permits)[0]
  const denying = rulesWhere(denies)[0]
  return {
    isAllowed: permitting !== undefined && denying === undefined,
    isBlocked: denying !== undefined,
    rule: denying ?? permitting ?? matched[0]?.name ?? '',
  }
}
