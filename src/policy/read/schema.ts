// The shape of a policy file (openshell.md 1.1 to 1.3), with its defaults. Names are the file's own.
import { z } from 'zod'
import {
  absent,
  boolean,
  type FieldSchema,
  integer,
  list,
  map,
  modeReaders,
  optional,
  type PolicyMode,
  section,
} from './fields.ts'

export type Policy = z.output<ReturnType<typeof policySchema>>
export type NetworkRule = Policy['network_policies'][string]
export type Endpoint = NetworkRule['endpoints'][number]
export type RuleMatcher = Endpoint['deny_rules'][number]
export type Middleware = Policy['network_middlewares'][string]

const I32_MAX = 2_147_483_647
const U16_MAX = 65_535
const U32_MAX = 4_294_967_295

/** Returns a schema that reads a YamlTree. Its issues carry the path of keys to the value that they are about. */
export function policySchema(mode: PolicyMode) {
  const { isTyped, text, or, listOf } = modeReaders(mode)
  const process = section({ run_as_user: or(text, ''), run_as_group: or(text, '') }, isTyped)
  const filesystem = section(
    { include_workdir: or(boolean, !isTyped), read_only: listOf(text), read_write: listOf(text) },
    isTyped,
  )
  const binary = section({ path: isTyped ? text : or(text, ''), harness: or(boolean, false) }, isTyped)
  const rule = section(
    {
      name: absent(text, ''),
      endpoints: absent(list(endpointSchema(mode)), []),
      binaries: absent(list(binary), []),
    },
    isTyped,
  )
  return section(
    {
      version: isTyped ? integer(0, U32_MAX) : or(integer(0, U32_MAX), 1),
      filesystem_policy: optional(filesystem),
      landlock: optional(section({ compatibility: or(text, '') }, isTyped)),
      process: optional(process),
      network_policies: absent(map(rule), {}),
      network_middlewares: absent(map(middlewareSchema(mode)), {}),
    },
    isTyped,
  )
}

function endpointSchema(mode: PolicyMode) {
  const { isTyped, text, or, listOf } = modeReaders(mode)
  const matcher = matcherSchema(mode)
  const operation = section(
    { operation_type: or(text, ''), operation_name: or(text, ''), fields: listOf(text) },
    isTyped,
  )
  // In file mode a rule without `allow` grants nothing.
  const allow = isTyped ? matcher : absent(matcher, matcher.parse({}))
  const bodyBytes = absent(integer(0, U32_MAX), 0)
  const shape = {
    host: absent(text, ''),
    port: or(integer(0, U16_MAX), 0),
    ports: listOf(integer(0, U16_MAX)),
    path: or(text, ''),
    protocol: or(text, ''),
    enforcement: or(text, ''),
    access: or(text, ''),
    rules: absent(list(section({ allow }, isTyped)), []),
    deny_rules: absent(list(matcher), []),
    allowed_ips: listOf(text),
    tls: absent(text, ''),
    allow_encoded_slash: or(boolean, false),
    websocket_credential_rewrite: or(boolean, false),
    request_body_credential_rewrite: or(boolean, false),
    allow_uninspected_credentials: or(boolean, false),
    persisted_queries: or(text, ''),
    graphql_persisted_queries: absent(map(operation), {}),
    graphql_max_body_bytes: or(integer(0, U32_MAX), 0),
    // These two stanzas, like the middlewares, are read strictly in both modes.
    json_rpc: optional(section({ max_body_bytes: bodyBytes }, true)),
    mcp: optional(mcpSchema(bodyBytes, text)),
    credential_signing: or(text, ''),
    signing_service: or(text, ''),
    signing_region: or(text, ''),
    credential_binding: optional(section({ provider: text }, isTyped)),
  }
  return section(shape, isTyped)
}

function mcpSchema(bodyBytes: z.ZodType<number, unknown>, text: FieldSchema<string>) {
  const option = optional(boolean)
  const shape = {
    versions: optional(list(text)),
    max_body_bytes: bodyBytes,
    strict_tool_names: option,
    allow_all_known_mcp_methods: option,
  }
  return section(shape, true)
}

function matcherSchema(mode: PolicyMode) {
  const { isTyped, text, or, listOf, globs, params } = modeReaders(mode)
  const shape = {
    method: or(text, ''),
    path: or(text, ''),
    command: or(text, ''),
    query: absent(map(globs), {}),
    operation_type: or(text, ''),
    operation_name: or(text, ''),
    fields: listOf(text),
    tool: optional(globs),
    params: absent(params, {}),
  }
  return section(shape, isTyped)
}

function middlewareSchema(mode: PolicyMode) {
  const { text } = modeReaders(mode)
  const patterns = absent(list(text), [])
  const shape = {
    name: absent(text, ''),
    middleware: text,
    order: absent(integer(-I32_MAX - 1, I32_MAX), 0),
    config: absent(map(z.unknown()), {}),
    on_error: absent(text, ''),
    endpoints: optional(section({ include: patterns, exclude: patterns }, true)),
  }
  return section(shape, true)
}
