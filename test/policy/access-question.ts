import type { Decision, EgressRequest } from '../../src/policy/decide/decision.ts'
import { decideEgress } from '../../src/policy/decide/egress.ts'
import type { Policy } from '../../src/policy/read/schema.ts'
import { policyOf } from './policy-source.ts'

export const BINARY = '/usr/bin/git'

/** One rule per argument, named a, b, … in that order, all for BINARY. */
export function policyWith(...rules: (object | object[])[]): Policy {
  const entries = rules.map((endpoints, index): [string, object] => [
    String.fromCharCode(97 + index),
    { endpoints: [endpoints].flat(), binaries: [{ path: BINARY }] },
  ])
  return policyOf({ version: 1, network_policies: Object.fromEntries(entries) })
}

/** Asks for BINARY to connect to a.example.com:443, but for what `request` says. */
export const ask = (policy: Policy, request: Partial<EgressRequest>): Decision =>
  decideEgress(policy, { host: 'a.example.com', port: 443, binary: BINARY, ...request })

export const HOST = { host: 'a.example.com', port: 443 }
