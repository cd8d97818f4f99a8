import { decideEgress } from '../policy/decide/egress.ts'
import { portsOf } from '../policy/read/endpoint.ts'
import type { Endpoint, Policy } from '../policy/read/schema.ts'

/** A request that the policy allows and that changes nothing. Without `method` only the connection is tried. */
export interface Sample {
  host: string
  port: number
  method?: string
  path?: string
}

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']
const SAMPLES_MAX = 16

/** Returns a sample for each endpoint that can be tried: one without a wildcard host that allows a safe request. */
export function samplesOf(policy: Policy): Sample[] {
  const samples = new Map<string, Sample>()
  for (const { endpoints } of Object.values(policy.network_policies)) {
    for (const endpoint of endpoints) {
      const { host } = endpoint
      if (host === '' || host.includes('*')) continue
      for (const port of portsOf(endpoint)) {
        const sample = sampleOf(policy, endpoint, port)
        if (sample !== undefined && !samples.has(`${host}:${port}`)) samples.set(`${host}:${port}`, sample)
      }
    }
  }
  return [...samples.values()].slice(0, SAMPLES_MAX)
}

function sampleOf(policy: Policy, endpoint: Endpoint, port: number): Sample | undefined {
  const { host } = endpoint
  const connection = decideEgress(policy, { host, port })
  if (connection.verdict === 'deny') return undefined
  if (connection.inspect !== true) return { host, port }
  return requestsOf(endpoint)
    .map((request) => ({ host, port, ...request }))
    .find((request) => decideEgress(policy, { ...request, upgrade: false }).verdict !== 'deny')
}

/** Returns the safe requests that the endpoint's rules name, with `x` for each wildcard. */
function requestsOf({ rules, path: prefix }: Endpoint): { method: string; path: string }[] {
  const named = rules.flatMap(({ allow }) =>
    SAFE_METHODS.filter((method) => ['', '*', method].includes(allow.method.toUpperCase())).map((method) => ({
      method,
      path: filled(allow.path === '' ? '/' : allow.path) + queryOf(allow.query),
    })),
  )
  return [...named, ...SAFE_METHODS.map((method) => ({ method, path: filled(prefix === '' ? '/' : prefix) }))]
}

function queryOf(query: Readonly<Record<string, readonly string[]>>): string {
  const parameters = new URLSearchParams()
  for (const [name, globs] of Object.entries(query)) parameters.set(name, filled(globs[0] ?? ''))
  return parameters.size === 0 ? '' : `?${parameters}`
}

function filled(glob: string): string {
  return glob.replace(/\*+/g, 'x')
}
