import { isScalar } from 'yaml'
import type { GlobList } from '../policy/read/fields.ts'
import type { Endpoint, Middleware, NetworkRule, Policy, RuleMatcher } from '../policy/read/schema.ts'
import type { Message } from './service.ts'

/** Converts a policy file to the gateway's message. */
export function policyMessage(policy: Policy): Message<'SandboxPolicy'> {
  const { version, filesystem_policy, landlock, process, network_policies, network_middlewares } = policy
  return {
    version,
    ...(filesystem_policy === undefined ? {} : { filesystem: filesystem_policy }),
    ...(landlock === undefined ? {} : { landlock }),
    ...(process === undefined ? {} : { process }),
    network_policies: rulesMessage(network_policies),
    network_middlewares: mapValues(network_middlewares, middlewareMessage),
  }
}

export function rulesMessage(
  rules: Policy['network_policies'],
): Record<string, Message<'NetworkPolicyRule'>> {
  return mapValues(rules, ruleMessage)
}

function ruleMessage({ name, endpoints, binaries }: NetworkRule, key: string): Message<'NetworkPolicyRule'> {
  return {
    name: name || key,
    endpoints: endpoints.map(endpointMessage),
    binaries: binaries.map(({ path }) => ({ path })),
  }
}

/** Words that are numbers in 0.1. It refuses a policy with others, which would become 0 here, the unspecified value. */
const TLS = ['', 'skip', 'terminate', 'passthrough']
const ENFORCEMENT = ['', 'enforce', 'audit']
const ACCESS = ['', 'read-only', 'read-write', 'full']

function numberOf(words: readonly string[], word: string): number {
  return Math.max(words.indexOf(word), 0)
}

/** A single port stands in `ports` too. JSON-RPC and MCP share one field for the limit of a body. */
function endpointMessage(endpoint: Endpoint): Message<'NetworkEndpoint'> {
  const { port, ports, rules, deny_rules, json_rpc, mcp, credential_binding, ...same } = endpoint
  const all = ports.length > 0 ? ports : port > 0 ? [port] : []
  const { strict_tool_names, allow_all_known_mcp_methods, versions } = mcp ?? {}
  const options = {
    ...(strict_tool_names === undefined ? {} : { strict_tool_names }),
    ...(allow_all_known_mcp_methods === undefined ? {} : { allow_all_known_mcp_methods }),
    ...(versions === undefined ? {} : { versions }),
  }
  return {
    ...same,
    tls_mode: numberOf(TLS, same.tls),
    enforcement_mode: numberOf(ENFORCEMENT, same.enforcement),
    access_preset: numberOf(ACCESS, same.access),
    port: all[0] ?? 0,
    ports: all,
    rules: rules.map(({ allow }) => ({ allow: matcherMessage(allow) })),
    deny_rules: deny_rules.map(matcherMessage),
    json_rpc_max_body_bytes: (mcp ?? json_rpc)?.max_body_bytes ?? 0,
    ...(Object.keys(options).length === 0 ? {} : { mcp: options }),
    ...(credential_binding === undefined ? {} : { credential_binding }),
  }
}

/** Writes `tool` as the parameter `name` of a call, unless `params` has a `name` of its own. */
function matcherMessage({ query, tool, params, ...same }: RuleMatcher): Message<'L7Allow'> {
  return {
    ...same,
    query: mapValues(query, globsMessage),
    params: mapValues({ ...(tool === undefined ? {} : { name: tool }), ...params }, globsMessage),
  }
}

function middlewareMessage(middleware: Middleware): Message<'NetworkMiddlewareConfig'> {
  const { config, endpoints, ...same } = middleware
  return { ...same, config: structMessage(config), ...(endpoints === undefined ? {} : { endpoints }) }
}

function globsMessage(globs: GlobList): Message<'L7QueryMatcher'> {
  return globs.length > 1 ? { any: globs } : { glob: globs[0] ?? '' }
}

/** Converts JSON, or a tree of the YAML reader, to protobuf's Struct. */
export function structMessage(object: Readonly<Record<string, unknown>>): Message<'Struct'> {
  return { fields: mapValues(object, valueMessage) }
}

function valueMessage(tree: unknown): Message<'Value'> {
  const value = isScalar(tree) ? tree.value : tree
  if (typeof value === 'string') return { string_value: value }
  if (typeof value === 'number') return { number_value: value }
  if (typeof value === 'boolean') return { bool_value: value }
  if (Array.isArray(value)) return { list_value: { values: value.map(valueMessage) } }
  if (typeof value === 'object' && value !== null)
    return { struct_value: structMessage(Object.fromEntries(Object.entries(value))) }
  return { null_value: 0 }
}

function mapValues<A, B>(
  object: Readonly<Record<string, A>>,
  change: (value: A, key: string) => B,
): Record<string, B> {
  return Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value, key)]))
}
