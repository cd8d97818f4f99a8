// Builds the answers to refused traffic: OpenShell's words for the client (openshell.md 1.7), data for the runner.
import type { Decision } from '../../policy/decide/decision.ts'
import { jsonAnswer, type Target } from '../../tunnel/connect.ts'

/** One decision of the proxy; holds no query, header or body. */
export interface EgressDecision {
  verdict: Decision['verdict']
  /** The gate that decided. */
  stage: Decision['stage']
  host: string
  port: number
  /** The request's method; CONNECT for a connection. */
  method: string
  /** The request's path without its query; absent for a connection. */
  path?: string
  /** Key of the entry in network_policies that decided. */
  rule?: string
  reason: string
  /** Kernel path of the client's executable. */
  binary?: string
}

export interface Subject {
  target: Target
  method: string
  path?: string | undefined
  binary?: string | undefined
}

export function toEgressDecision(
  subject: Subject,
  { verdict, stage, rule, reason }: Decision,
): EgressDecision {
  const { target, method, path, binary } = subject
  return {
    verdict,
    stage,
    host: target.host,
    port: target.port,
    method,
    reason,
    ...(path === undefined ? {} : { path: path.split('?', 1)[0] ?? '' }),
    ...(rule === undefined ? {} : { rule }),
    ...(binary === undefined ? {} : { binary }),
  }
}

/** Returns the JSON body for a refused connection or plain request. */
export function connectionDenial({ target, method, path = '' }: Subject, reason: string): string {
  const detail = `${method} ${target.host}:${target.port}${path.split('?', 1)[0]} not permitted by policy`
  return JSON.stringify({ error: 'policy_denied', detail, reason })
}

/** Returns the JSON body for a refused request inside an inspected connection. */
export function requestDenial(
  { target, method, path = '', binary }: Subject,
  { rule, reason }: Decision,
): string {
  return JSON.stringify({
    error: 'policy_denied',
    detail: `${method} ${path.split('?', 1)[0]} not permitted by policy`,
    reason,
    policy: rule ?? '',
    layer: 'l7',
    method,
    path: path.split('?', 1)[0],
    host: target.host,
    port: target.port,
    binary: binary ?? '',
    next_steps:
      'The policy of this sandbox decides; a person can change it (policy.yaml). Do not try to go around it.',
  })
}

/** Returns the JSON body for a request whose host is ambiguous. */
export function malformedRequest(reason: string): string {
  return JSON.stringify({ error: 'bad_request', detail: reason })
}

/** Returns the raw 403 of a connection or plain request. Its status line names the policy, because tools show it. */
export function rawDenial(body: string): string {
  return jsonAnswer(403, 'Forbidden by policy', body)
}
