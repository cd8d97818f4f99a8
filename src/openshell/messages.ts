import { bool, bytes, int32, int64, list, mapOf, one, text, uint32, uint64 } from '../grpc/definition.ts'
import { POLICY_MESSAGES } from './policy-messages.ts'

/** A sandbox by its name in a workspace; an empty workspace is the gateway's `default`. */
const NAMED = { fields: { name: text(1), workspace: text(2) } }
const ANSWERED_BY_SANDBOX = { fields: { sandbox: one('Sandbox', 1) } }
const DATA = { fields: { data: bytes(1) } }
const REFRESH_STATUS = { fields: { status: one('ProviderCredentialRefreshStatus', 1) } }

/**
 * What a launcher says to an OpenShell gateway and hears from it, of the packages openshell.v1, openshell.inference.v1,
 * openshell.sandbox.v1 and openshell.datamodel.v1. The numbers are facts of versions 0.0.88 to 0.1.5; what a launcher has
 * no use for is left out. On the wire no message has a name, so all of them stand in one table.
 */
export const MESSAGES = {
  ...POLICY_MESSAGES,
  ObjectMeta: {
    fields: {
      id: text(1),
      name: text(2),
      labels: mapOf('string', 4),
      resource_version: uint64(5),
      workspace: text(7),
    },
  },

  HealthRequest: { fields: {} },
  HealthResponse: { fields: { status: int32(1), version: text(2) } },

  Sandbox: {
    fields: {
      metadata: one('ObjectMeta', 1),
      spec: one('SandboxSpec', 2),
      status: one('SandboxStatus', 3),
    },
  },
  SandboxSpec: {
    fields: {
      environment: mapOf('string', 5),
      template: one('SandboxTemplate', 6),
      policy: one('SandboxPolicy', 7),
      providers: list('string', 8),
    },
  },
  SandboxTemplate: { fields: { image: text(1), driver_config: one('Struct', 11) } },
  SandboxStatus: {
    fields: {
      conditions: list('SandboxCondition', 5),
      phase: int32(6),
      current_policy_version: uint32(7),
    },
  },
  SandboxCondition: {
    fields: { type: text(1), status: text(2), reason: text(3), message: text(4) },
  },
  CreateSandboxRequest: {
    fields: {
      spec: one('SandboxSpec', 1),
      name: text(2),
      labels: mapOf('string', 3),
      workspace: text(5),
    },
  },
  GetSandboxRequest: NAMED,
  DeleteSandboxRequest: NAMED,
  StopSandboxRequest: NAMED,
  StartSandboxRequest: NAMED,
  SandboxResponse: ANSWERED_BY_SANDBOX,
  DeleteSandboxResponse: { fields: { deleted: bool(1) } },
  ListSandboxesRequest: {
    fields: { limit: uint32(1), offset: uint32(2), label_selector: text(3), workspace: text(4) },
  },
  ListSandboxesResponse: { fields: { sandboxes: list('Sandbox', 1) } },

  ExecSandboxRequest: {
    fields: {
      sandbox_id: text(1),
      command: list('string', 2),
      workdir: text(3),
      environment: mapOf('string', 4),
      timeout_seconds: uint32(5),
      stdin: bytes(6),
    },
  },
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

  CreateSshSessionRequest: { fields: { sandbox_id: text(1) } },
  CreateSshSessionResponse: {
    fields: { sandbox_id: text(1), token: text(2), expires_at_ms: int64(8) },
  },
  RevokeSshSessionRequest: { fields: { token: text(1) } },
  RevokeSshSessionResponse: { fields: { revoked: bool(1) } },
  TcpForwardFrame: { fields: { init: one('TcpForwardInit', 1), data: bytes(2) } },
  TcpForwardInit: {
    fields: {
      sandbox_id: text(1),
      service_id: text(4),
      tcp: one('TcpRelayTarget', 6),
      authorization_token: text(7),
    },
  },
  TcpRelayTarget: { fields: { host: text(1), port: uint32(2) } },

  Provider: {
    fields: {
      metadata: one('ObjectMeta', 1),
      type: text(2),
      credentials: mapOf('string', 3),
      config: mapOf('string', 4),
    },
  },
  ProviderResponse: { fields: { provider: one('Provider', 1) } },
  CreateProviderRequest: { fields: { provider: one('Provider', 1), workspace: text(2) } },
  UpdateProviderRequest: { fields: { provider: one('Provider', 1), workspace: text(3) } },
  GetProviderRequest: NAMED,
  DeleteProviderRequest: NAMED,
  DeleteProviderResponse: { fields: { deleted: bool(1) } },
  ListProvidersRequest: { fields: { limit: uint32(1), offset: uint32(2), workspace: text(3) } },
  ListProvidersResponse: { fields: { providers: list('Provider', 1) } },
  ConfigureProviderRefreshRequest: {
    fields: {
      provider: text(1),
      credential_key: text(2),
      strategy: int32(3),
      material: mapOf('string', 4),
      secret_material_keys: list('string', 5),
      workspace: text(7),
    },
  },
  ConfigureProviderRefreshResponse: REFRESH_STATUS,
  RotateProviderCredentialRequest: {
    fields: { provider: text(1), credential_key: text(2), workspace: text(3) },
  },
  RotateProviderCredentialResponse: REFRESH_STATUS,
  ProviderCredentialRefreshStatus: { fields: { status: text(5), last_error: text(9) } },

  SetInferenceRouteRequest: {
    fields: {
      provider_name: text(1),
      model_id: text(2),
      route_name: text(3),
      no_verify: bool(5),
      timeout_secs: uint64(6),
      workspace: text(7),
    },
  },
  SetInferenceRouteResponse: { fields: { version: uint64(3), validation_performed: bool(5) } },
  GetInferenceRouteRequest: { fields: { route_name: text(1), workspace: text(2) } },
  GetInferenceRouteResponse: { fields: { provider_name: text(1), model_id: text(2) } },

  GetGatewayConfigRequest: { fields: {} },
  GetGatewayConfigResponse: { fields: { settings: mapOf('SettingValue', 1) } },
  SettingValue: { fields: { string_value: text(1), bool_value: bool(2) } },
  UpdateConfigRequest: {
    fields: {
      name: text(1),
      setting_key: text(3),
      setting_value: one('SettingValue', 4),
      global: bool(6),
      merge_operations: list('PolicyMergeOperation', 7),
      workspace: text(10),
    },
  },
  UpdateConfigResponse: { fields: { version: uint32(1), policy_hash: text(2) } },
  PolicyMergeOperation: { fields: { add_rule: one('AddNetworkRule', 1) } },
  AddNetworkRule: { fields: { rule_name: text(1), rule: one('NetworkPolicyRule', 2) } },

  GetSandboxLogsRequest: {
    fields: { sandbox_id: text(1), lines: uint32(2), min_level: text(5), workspace: text(6) },
  },
  GetSandboxLogsResponse: { fields: { logs: list('SandboxLogLine', 1) } },
  SandboxLogLine: {
    fields: { timestamp_ms: int64(2), level: text(3), target: text(4), message: text(5), source: text(6) },
  },
} as const
