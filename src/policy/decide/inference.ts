// Requests to inference.local are decided before any rule (openshell.md 4.1, 4.2).

import { canonicalTarget, TargetError } from '../request/target.ts'
import type { Decision, EgressRequest } from './decision.ts'

const ROUTES: readonly [method: string, path: RegExp][] = [
  ['POST', /^\/v1\/(messages|chat\/completions|completions|responses|embeddings)$/],
  ['GET', /^\/v1\/models(\/.*)?$/],
  ['POST', /^\/model\/[^/]+\/invoke$/],
]

export function isInference({ host, port, transport }: EgressRequest): boolean {
  return host.toLowerCase() === 'inference.local' && port === 443 && transport !== 'plain-http'
}

export function decideInference({ method, path = '/' }: EgressRequest): Decision {
  const stage = 'inference'
  if (method === undefined) {
    return {
      verdict: 'allow',
      stage,
      reason: 'inference.local needs no rule',
      tls: 'terminate',
      inspect: true,
    }
  }
  const canonical = canonicalOrRaw(path)
  const isRoute = ROUTES.some(([verb, route]) => verb === method.toUpperCase() && route.test(canonical))
  if (isRoute) return { verdict: 'allow', stage, reason: `${method} ${canonical} is an inference request` }
  return { verdict: 'deny', stage, reason: `${method} ${canonical} is no inference request` }
}

function canonicalOrRaw(path: string): string {
  try {
    return canonicalTarget(path, { allowEncodedSlash: false }).path
  } catch (error) {
    if (error instanceof TargetError) return path.split('?', 1)[0] ?? path
    throw error
  }
}
