import { z } from 'zod'
import { loadService, type Method, method, type Written } from '../grpc/definition.ts'
import { MESSAGES_0_0, MESSAGES_0_1 } from './wire-messages.ts'

/** The wire form: that of OpenShell 0.0.88 to 0.0.116, or that of 0.1. */
export type Protocol = '0.0' | '0.1'

/**
 * A message as it is sent. It has the fields of both wire forms. A field that a form lacks is not written, so one
 * message serves both.
 */
export type Message<N extends keyof typeof MESSAGES_0_0> = Written<typeof MESSAGES_0_0, N> &
  Written<typeof MESSAGES_0_1, N>

const OPENSHELL = {
  Health: method('HealthRequest', 'HealthResponse'),
  CreateSandbox: method('CreateSandboxRequest', 'SandboxResponse'),
  GetSandbox: method('GetSandboxRequest', 'SandboxResponse'),
  ListSandboxes: method('ListSandboxesRequest', 'ListSandboxesResponse'),
  DeleteSandbox: method('DeleteSandboxRequest', 'DeleteSandboxResponse'),
  /** StopSandbox and StartSandbox exist since 0.0.105. */
  StopSandbox: method('StopSandboxRequest', 'SandboxResponse'),
  StartSandbox: method('StartSandboxRequest', 'SandboxResponse'),
  ExecSandbox: method('ExecSandboxRequest', 'ExecSandboxEvent', { response: true }),
  CreateSshSession: method('CreateSshSessionRequest', 'CreateSshSessionResponse'),
  RevokeSshSession: method('RevokeSshSessionRequest', 'RevokeSshSessionResponse'),
  ForwardTcp: method('TcpForwardFrame', 'TcpForwardFrame', { request: true, response: true }),
  CreateProvider: method('CreateProviderRequest', 'ProviderResponse'),
  GetProvider: method('GetProviderRequest', 'ProviderResponse'),
  ListProviders: method('ListProvidersRequest', 'ListProvidersResponse'),
  UpdateProvider: method('UpdateProviderRequest', 'ProviderResponse'),
  DeleteProvider: method('DeleteProviderRequest', 'DeleteProviderResponse'),
  ConfigureProviderRefresh: method('ConfigureProviderRefreshRequest', 'ConfigureProviderRefreshResponse'),
  RotateProviderCredential: method('RotateProviderCredentialRequest', 'RotateProviderCredentialResponse'),
  GetGatewayConfig: method('GetGatewayConfigRequest', 'GetGatewayConfigResponse'),
  UpdateConfig: method('UpdateConfigRequest', 'UpdateConfigResponse'),
  GetSandboxLogs: method('GetSandboxLogsRequest', 'GetSandboxLogsResponse'),
} as const

/** The methods of the inference service, which 0.1 does not have. */
const INFERENCE = {
  SetInferenceRoute: method('SetInferenceRouteRequest', 'SetInferenceRouteResponse'),
  GetInferenceRoute: method('GetInferenceRouteRequest', 'GetInferenceRouteResponse'),
} as const

const METHODS = { ...OPENSHELL, ...INFERENCE }
type MethodName = keyof typeof METHODS

/** Qualifies the names of messages: they are looked up in their service's package, but all stand in openshell.v1. */
const qualified = (methods: Record<string, ReturnType<typeof method>>) =>
  Object.fromEntries(
    Object.entries(methods).map(([name, { requestType, responseType, ...rest }]) => [
      name,
      { ...rest, requestType: `.openshell.v1.${requestType}`, responseType: `.openshell.v1.${responseType}` },
    ]),
  )

export type Services = Readonly<Record<keyof typeof OPENSHELL, Method>> & Partial<Record<MethodName, Method>>

export function openshellServices(protocol: Protocol): Services {
  const messages = protocol === '0.0' ? MESSAGES_0_0 : MESSAGES_0_1
  const v1 = { nested: { ...messages, OpenShell: { methods: qualified(OPENSHELL) } } }
  const inference = { nested: { v1: { nested: { Inference: { methods: qualified(INFERENCE) } } } } }
  const definition = { nested: { openshell: { nested: { v1, inference } } } }
  const own = loadService<keyof typeof OPENSHELL>(definition, 'openshell.v1.OpenShell')
  if (protocol === '0.1') return own
  return {
    ...own,
    ...loadService<keyof typeof INFERENCE>(definition, 'openshell.inference.v1.Inference'),
  }
}

/** Returns the fields that name a workspace in both wire forms. */
export function inWorkspace(workspace: string) {
  return { workspace, workspace_scope: { workspace } }
}

/** A sandbox by its name; `SandboxAt` adds the id that the gateway gave it. */
export interface SandboxName {
  name: string
  workspace: string
}
export interface SandboxAt extends SandboxName {
  id: string
}

export function named({ name, workspace }: SandboxName) {
  return { name, ...inWorkspace(workspace) }
}

/** Returns the fields by which a call into a sandbox names it in both wire forms. */
export function inside({ id, name, workspace }: SandboxAt) {
  return { sandbox_id: id, sandbox: name, ...inWorkspace(workspace) }
}

const text = z.string().default('')
const labels = z.record(z.string(), z.string()).default({})
const Meta = z.object({ id: text, name: text, labels })

/** The names of the sandbox phases, by their numbers. */
export const PHASES = [
  'UNSPECIFIED',
  'PROVISIONING',
  'READY',
  'ERROR',
  'DELETING',
  'UNKNOWN',
  'STOPPING',
  'STOPPED',
  'STARTING',
  'COMPLETED',
] as const

const Condition = z.object({ status: text, reason: text, message: text })
const SandboxAnswer = z
  .object({
    metadata: Meta,
    status: z
      .object({ phase: z.number().default(0), conditions: z.array(Condition).default([]) })
      .prefault({}),
  })
  .transform(({ metadata, status: { phase, conditions } }) => ({
    ...metadata,
    phase: PHASES[phase] ?? 'UNKNOWN',
    conditions,
  }))
export type Sandbox = z.output<typeof SandboxAnswer>

const ProviderAnswer = z.object({ metadata: Meta, type: text })
const OfSandbox = z.object({ sandbox: SandboxAnswer }).transform(({ sandbox }) => sandbox)
const OfProvider = z.object({ provider: ProviderAnswer }).transform(({ provider }) => provider)
const Anything = z.object({})
const Data = z.object({ data: z.instanceof(Uint8Array).default(Buffer.alloc(0)) })
/** A line of a sandbox's log in either wire form; `at` is in milliseconds since 1970. */
const LogLine = z
  .object({
    timestamp_ms: z.coerce.number().optional(),
    event_time: z.object({ seconds: z.coerce.number().default(0) }).optional(),
    level: text,
    source: text,
    message: text,
  })
  .transform(({ timestamp_ms, event_time, ...line }) => ({
    ...line,
    at: timestamp_ms ?? (event_time?.seconds ?? 0) * 1000,
  }))

/** Schemas of a gateway's answers. An absent field has the default of its type. */
export const ANSWERS = {
  Health: z.object({ version: text }),
  CreateSandbox: OfSandbox,
  GetSandbox: OfSandbox,
  ListSandboxes: z.object({ sandboxes: z.array(SandboxAnswer).default([]) }),
  DeleteSandbox: Anything,
  StopSandbox: OfSandbox,
  StartSandbox: OfSandbox,
  CreateSshSession: z.object({ token: z.string().min(1) }),
  RevokeSshSession: Anything,
  CreateProvider: OfProvider,
  GetProvider: OfProvider,
  ListProviders: z.object({ providers: z.array(ProviderAnswer).default([]) }),
  UpdateProvider: OfProvider,
  DeleteProvider: Anything,
  ConfigureProviderRefresh: Anything,
  RotateProviderCredential: Anything,
  GetGatewayConfig: z.object({
    settings: z
      .array(
        z.object({ key: text, value: z.object({ bool_value: z.boolean().default(false) }).prefault({}) }),
      )
      .default([]),
  }),
  UpdateConfig: Anything,
  GetSandboxLogs: z.object({ logs: z.array(LogLine).default([]) }),
  SetInferenceRoute: Anything,
  GetInferenceRoute: z.object({ provider_name: text, model_id: text }),
} as const satisfies Partial<Record<MethodName, z.ZodType>>

export const ExecEvent = z.object({
  stdout: Data.optional(),
  stderr: Data.optional(),
  exit: z.object({ exit_code: z.number().default(0) }).optional(),
})
export const ForwardFrame = Data

/** The name of a unary call. */
export type CallName = keyof typeof ANSWERS
export type RequestOf<N extends MethodName> = Message<(typeof METHODS)[N]['requestType']>
export type AnswerOf<N extends CallName> = z.output<(typeof ANSWERS)[N]>
