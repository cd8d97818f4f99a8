import { bool, double, int32, listOf, mapOf, one, string, uint32 } from '../grpc/definition.ts'

/** The fields that an allow rule and a deny rule share. */
const MATCHER = {
  method: string(1),
  path: string(2),
  command: string(3),
  query: mapOf('L7QueryMatcher', 4),
  operation_type: string(5),
  operation_name: string(6),
  fields: listOf('string', 7),
  params: mapOf('L7QueryMatcher', 9),
} as const

/** The fields of an endpoint that are the same in every version. */
export const ENDPOINT = {
  host: string(1),
  port: uint32(2),
  protocol: string(3),
  rules: listOf('L7Rule', 7),
  allowed_ips: listOf('string', 8),
  ports: listOf('uint32', 9),
  deny_rules: listOf('L7DenyRule', 10),
  allow_encoded_slash: bool(11),
  persisted_queries: string(12),
  graphql_persisted_queries: mapOf('GraphqlOperation', 13),
  graphql_max_body_bytes: uint32(14),
  path: string(15),
  websocket_credential_rewrite: bool(16),
  request_body_credential_rewrite: bool(17),
  credential_signing: string(19),
  signing_service: string(20),
  signing_region: string(21),
  json_rpc_max_body_bytes: uint32(22),
  mcp: one('McpOptions', 23),
  credential_binding: one('NetworkCredentialBinding', 24),
  allow_uninspected_credentials: bool(25),
} as const

export const MCP_OPTIONS = { strict_tool_names: bool(1), allow_all_known_mcp_methods: bool(2) } as const

/** The messages of a policy (OpenShell's package openshell.sandbox.v1), and of JSON as protobuf writes it. */
export const POLICY_MESSAGES = {
  SandboxPolicy: {
    fields: {
      version: uint32(1),
      filesystem: one('FilesystemPolicy', 2),
      landlock: one('LandlockPolicy', 3),
      process: one('ProcessPolicy', 4),
      network_policies: mapOf('NetworkPolicyRule', 5),
      network_middlewares: mapOf('NetworkMiddlewareConfig', 6),
    },
  },
  FilesystemPolicy: {
    fields: { include_workdir: bool(1), read_only: listOf('string', 2), read_write: listOf('string', 3) },
  },
  LandlockPolicy: { fields: { compatibility: string(1) } },
  ProcessPolicy: { fields: { run_as_user: string(1), run_as_group: string(2) } },
  NetworkPolicyRule: {
    fields: {
      name: string(1),
      endpoints: listOf('NetworkEndpoint', 2),
      binaries: listOf('NetworkBinary', 3),
    },
  },
  NetworkBinary: { fields: { path: string(1) } },
  McpOptions: { fields: MCP_OPTIONS },
  NetworkCredentialBinding: { fields: { provider: string(1) } },
  GraphqlOperation: {
    fields: { operation_type: string(1), operation_name: string(2), fields: listOf('string', 3) },
  },
  L7Rule: { fields: { allow: one('L7Allow', 1) } },
  L7Allow: { fields: MATCHER },
  L7DenyRule: { fields: MATCHER },
  L7QueryMatcher: { fields: { glob: string(1), any: listOf('string', 2) } },
  NetworkMiddlewareConfig: {
    fields: {
      name: string(1),
      middleware: string(2),
      config: one('Struct', 3),
      on_error: string(4),
      endpoints: one('MiddlewareEndpointSelector', 5),
      order: int32(6),
    },
  },
  MiddlewareEndpointSelector: { fields: { include: listOf('string', 1), exclude: listOf('string', 2) } },
  Struct: { fields: { fields: mapOf('Value', 1) } },
  Value: {
    fields: {
      null_value: int32(1),
      number_value: double(2),
      string_value: string(3),
      bool_value: bool(4),
      struct_value: one('Struct', 5),
      list_value: one('ListValue', 6),
    },
  },
  ListValue: { fields: { values: listOf('Value', 1) } },
} as const
