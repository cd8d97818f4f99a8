// The messages between a launcher and an OpenShell gateway, of the packages openshell.v1, openshell.inference.v1,
// openshell.sandbox.v1 and openshell.datamodel.v1. A message has no name on the wire, so one table holds all of them.
// Fields that a launcher does not use are left out. test/openshell/protocol.test.ts checks the numbers with OpenShell.
import {
  bool,
  bytes,
  int32,
  int64,
  listOf,
  mapOf,
  one,
  string,
  TIMESTAMP,
  uint32,
} from '../grpc/definition.ts'
import { ENDPOINT, MCP_OPTIONS, POLICY_MESSAGES } from './policy-messages.ts'

const NOTHING = { fields: {} } as const
const ANSWERED_BY_SANDBOX = { fields: { sandbox: one('Sandbox', 1) } } as const
const DATA = { fields: { data: bytes(1) } } as const

const COMMON = {
  ...POLICY_MESSAGES,
  ObjectMeta: { fields: { id: string(1), name: string(2), labels: mapOf('string', 4) } },

  HealthRequest: NOTHING,
  HealthResponse: { fields: { version: string(2) } },

  Sandbox: { fields: { metadata: one('ObjectMeta', 1), status: one('SandboxStatus', 3) } },
  SandboxSpec: {
    fields: {
      environment: mapOf('string', 5),
      template: one('SandboxTemplate', 6),
      policy: one('SandboxPolicy', 7),
      providers: listOf('string', 8),
      command: listOf('string', 12),
    },
  },
  SandboxTemplate: { fields: { image: string(1), driver_config: one('Struct', 11) } },
  SandboxStatus: { fields: { conditions: listOf('SandboxCondition', 5), phase: int32(6) } },
  SandboxCondition: { fields: { status: string(2), reason: string(3), message: string(4) } },
  SandboxResponse: ANSWERED_BY_SANDBOX,
  DeleteSandboxResponse: NOTHING,
  ListSandboxesResponse: { fields: { sandboxes: listOf('Sandbox', 1) } },

  ExecSandboxEvent: {
    fields: {
      stdout: one('ExecSandboxStdout', 1),
      stderr: one('ExecSandboxStderr', 2),
      exit: one('ExecSandboxExit', 3),
    },
  },
  ExecSandboxStdout: DATA,
  ExecSandboxStderr: DATA,
  ExecSandboxExit: { fields: { exit_code: int32(1) } },

  CreateSshSessionResponse: { fields: { token: string(2) } },
  RevokeSshSessionRequest: { fields: { token: string(1) } },
  RevokeSshSessionResponse: NOTHING,
  TcpForwardFrame: { fields: { init: one('TcpForwardInit', 1), data: bytes(2) } },
  TcpRelayTarget: { fields: { host: string(1), port: uint32(2) } },

  Provider: {
    fields: {
      metadata: one('ObjectMeta', 1),
      type: string(2),
      credentials: mapOf('string', 3),
      config: mapOf('string', 4),
    },
  },
  ProviderResponse: { fields: { provider: one('Provider', 1) } },
  DeleteProviderResponse: NOTHING,
  ListProvidersResponse: { fields: { providers: listOf('Provider', 1) } },
  ConfigureProviderRefreshResponse: NOTHING,
  RotateProviderCredentialResponse: NOTHING,

  GetGatewayConfigRequest: NOTHING,
  // A map is a list of entries on the wire, and is read as one here. A gateway omits an entry's empty value, and
  // protobufjs cannot read such an entry in a map of messages.
  GetGatewayConfigResponse: { fields: { settings: listOf('SettingEntry', 1) } },
  SettingEntry: { fields: { key: string(1), value: one('SettingValue', 2) } },
  SettingValue: { fields: { bool_value: bool(2) } },
  UpdateConfigResponse: NOTHING,
  PolicyMergeOperation: { fields: { add_rule: one('AddNetworkRule', 1) } },
  AddNetworkRule: { fields: { rule_name: string(1), rule: one('NetworkPolicyRule', 2) } },
  GetSandboxLogsResponse: { fields: { logs: listOf('SandboxLogLine', 1) } },

  SetInferenceRouteRequest: {
    fields: { provider_name: string(1), model_id: string(2), no_verify: bool(5), workspace: string(7) },
  },
  SetInferenceRouteResponse: NOTHING,
  GetInferenceRouteRequest: { fields: { workspace: string(2) } },
  GetInferenceRouteResponse: { fields: { provider_name: string(1), model_id: string(2) } },
} as const

const NAMED = { fields: { name: string(1), workspace: string(2) } } as const
const CONFIG = {
  setting_key: string(3),
  setting_value: one('SettingValue', 4),
  global: bool(6),
  merge_operations: listOf('PolicyMergeOperation', 7),
} as const
const REFRESH = { provider: string(1), credential_key: string(2) } as const
const MATERIAL = {
  strategy: int32(3),
  material: mapOf('string', 4),
  secret_material_keys: listOf('string', 5),
} as const
const EXEC = { command: listOf('string', 2), environment: mapOf('string', 4), stdin: bytes(6) } as const
const CREATE = { spec: one('SandboxSpec', 1), name: string(2), labels: mapOf('string', 3) } as const
const INIT = { service_id: string(4), tcp: one('TcpRelayTarget', 6), authorization_token: string(7) } as const
const LINE = { level: string(3), message: string(5), source: string(6) } as const
const LOGS = { lines: uint32(2), min_level: string(5) } as const

/** The messages of 0.0.88 to 0.0.116: a workspace is a string, and calls into a sandbox name it by its id. */
export const MESSAGES_0_0 = {
  ...COMMON,
  CreateSandboxRequest: { fields: { ...CREATE, workspace: string(5) } },
  GetSandboxRequest: NAMED,
  DeleteSandboxRequest: NAMED,
  StopSandboxRequest: NAMED,
  StartSandboxRequest: NAMED,
  ListSandboxesRequest: { fields: { limit: uint32(1), workspace: string(4) } },
  ExecSandboxRequest: { fields: { ...EXEC, sandbox_id: string(1) } },
  CreateSshSessionRequest: { fields: { sandbox_id: string(1) } },
  TcpForwardInit: { fields: { ...INIT, sandbox_id: string(1) } },
  CreateProviderRequest: { fields: { provider: one('Provider', 1), workspace: string(2) } },
  UpdateProviderRequest: { fields: { provider: one('Provider', 1), workspace: string(3) } },
  GetProviderRequest: NAMED,
  DeleteProviderRequest: NAMED,
  ListProvidersRequest: { fields: { limit: uint32(1), workspace: string(3) } },
  ConfigureProviderRefreshRequest: { fields: { ...REFRESH, ...MATERIAL, workspace: string(7) } },
  RotateProviderCredentialRequest: { fields: { ...REFRESH, workspace: string(3) } },
  UpdateConfigRequest: { fields: { ...CONFIG, name: string(1), workspace: string(10) } },
  GetSandboxLogsRequest: { fields: { ...LOGS, sandbox_id: string(1), workspace: string(6) } },
  SandboxLogLine: { fields: { ...LINE, timestamp_ms: int64(2) } },
  NetworkEndpoint: { fields: { ...ENDPOINT, tls: string(4), enforcement: string(5), access: string(6) } },
} as const

const SCOPED = { fields: { name: string(1), workspace_scope: one('WorkspaceSelector', 2) } } as const
const scope = (id: number) => ({ workspace_scope: one('WorkspaceSelector', id) })

/**
 * The messages of 0.1.0 to 0.1.5. A workspace is a message, often under the number of the former string. Every call
 * names the sandbox by its name, some words of a policy are numbers, and there are no routes to a model.
 */
export const MESSAGES_0_1 = {
  ...COMMON,
  WorkspaceSelector: { fields: { workspace: string(1) } },
  CreateSandboxRequest: { fields: { ...CREATE, ...scope(7) } },
  GetSandboxRequest: SCOPED,
  DeleteSandboxRequest: SCOPED,
  StopSandboxRequest: SCOPED,
  StartSandboxRequest: SCOPED,
  ListSandboxesRequest: { fields: { page_size: int32(1), ...scope(4) } },
  ExecSandboxRequest: { fields: { ...EXEC, sandbox: string(1), ...scope(12) } },
  CreateSshSessionRequest: { fields: { sandbox: string(1), ...scope(3) } },
  TcpForwardInit: { fields: { ...INIT, sandbox: string(1), workspace: string(3) } },
  CreateProviderRequest: { fields: { provider: one('Provider', 1), ...scope(2) } },
  UpdateProviderRequest: { fields: { provider: one('Provider', 1), ...scope(3) } },
  GetProviderRequest: SCOPED,
  DeleteProviderRequest: { fields: { name: string(1), ...scope(3) } },
  ListProvidersRequest: { fields: { page_size: int32(1), ...scope(3) } },
  ConfigureProviderRefreshRequest: { fields: { ...REFRESH, ...MATERIAL, ...scope(7) } },
  RotateProviderCredentialRequest: { fields: { ...REFRESH, ...scope(3) } },
  UpdateConfigRequest: { fields: { ...CONFIG, sandbox: string(1), ...scope(10) } },
  GetSandboxLogsRequest: { fields: { ...LOGS, sandbox: string(1), ...scope(6) } },
  SandboxLogLine: { fields: { ...LINE, event_time: one('Timestamp', 102) } },
  Timestamp: TIMESTAMP,
  McpOptions: { fields: { ...MCP_OPTIONS, versions: listOf('string', 3) } },
  NetworkEndpoint: {
    fields: { ...ENDPOINT, tls_mode: int32(4), enforcement_mode: int32(5), access_preset: int32(6) },
  },
} as const
