// Small facts about one endpoint that both the checks and the decisions need.
import type { BodyReading } from '../request/body.ts'
import type { Endpoint, RuleMatcher } from './schema.ts'

const L7_PROTOCOLS = ['rest', 'websocket', 'graphql', 'sql', 'json-rpc', 'mcp'] as const
type L7Protocol = (typeof L7_PROTOCOLS)[number]

/** Returns the L7 protocol, whatever its case; undefined for "", tcp and unknown names. */
export function l7Protocol(endpoint: Endpoint): L7Protocol | undefined {
  return L7_PROTOCOLS.find((protocol) => protocol === endpoint.protocol.toLowerCase())
}

export function isTcp(endpoint: Endpoint): boolean {
  return endpoint.protocol.toLowerCase() === 'tcp'
}

/** Returns the ports. `ports` wins over `port`; 0 counts as unset in `port` only (openshell.md 1.3). */
export function portsOf(endpoint: Endpoint): readonly number[] {
  if (endpoint.ports.length > 0) return endpoint.ports
  return endpoint.port > 0 ? [endpoint.port] : []
}

/** Whether the endpoint carries settings of a connection. A plain L4 endpoint only admits it. */
export function hasExtendedConfig(endpoint: Endpoint): boolean {
  return (
    (endpoint.protocol !== '' && !isTcp(endpoint)) || endpoint.allowed_ips.length > 0 || endpoint.tls !== ''
  )
}

export function allowsAllMcpMethods(endpoint: Endpoint): boolean {
  return endpoint.mcp?.allow_all_known_mcp_methods ?? false
}

export function hasStrictToolNames(endpoint: Endpoint): boolean {
  return endpoint.mcp?.strict_tool_names ?? true
}

/** Returns the limit in bytes; 0 means the default. The mcp stanza wins, because one wire field holds both. */
export function jsonRpcBodyLimit(endpoint: Endpoint): number {
  return endpoint.mcp === undefined ? (endpoint.json_rpc?.max_body_bytes ?? 0) : endpoint.mcp.max_body_bytes
}

/** OpenShell's default limit, in bytes, for every protocol whose bodies are read. */
const BODY_BYTES_DEFAULT = 64 * 1024

/** Returns how bodies are read; undefined for an endpoint that judges requests without their bodies. */
export function bodyReading(endpoint: Endpoint): BodyReading | undefined {
  const protocol = l7Protocol(endpoint)
  const hasGraphqlMessages = protocol === 'websocket' && hasGraphqlPolicy(endpoint)
  if (protocol === 'graphql' || hasGraphqlMessages) {
    const bytesMax = endpoint.graphql_max_body_bytes || BODY_BYTES_DEFAULT
    return { protocol: 'graphql', bytesMax, hasStrictToolNames: false }
  }
  if (protocol !== 'json-rpc' && protocol !== 'mcp') return undefined
  const bytesMax = jsonRpcBodyLimit(endpoint) || BODY_BYTES_DEFAULT
  return { protocol, bytesMax, hasStrictToolNames: protocol === 'mcp' && hasStrictToolNames(endpoint) }
}

export function endpointLabel(endpoint: Endpoint): string {
  return `${endpoint.host || '<any host>'}:${portsOf(endpoint).join(',')}${endpoint.path}`
}

/** Whether a websocket endpoint judges GraphQL operations. */
export function hasGraphqlPolicy(endpoint: Endpoint): boolean {
  return (
    Object.keys(endpoint.graphql_persisted_queries).length > 0 ||
    !['', 'deny'].includes(endpoint.persisted_queries) ||
    endpoint.rules.some(({ allow }) => hasGraphqlFields(allow)) ||
    endpoint.deny_rules.some(hasGraphqlFields)
  )
}

export function hasGraphqlFields(matcher: RuleMatcher): boolean {
  return matcher.operation_type !== '' || matcher.operation_name !== '' || matcher.fields.length > 0
}
