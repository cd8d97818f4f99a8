// An OpenShell gateway, as control-plane.md section 3 has it: a real gRPC server made of the launcher's own definitions, in
// either form of the wire. A command in a sandbox is a real process, and a forward leads to a real port of this machine.
import { randomUUID } from 'node:crypto'
import { connect, type Socket } from 'node:net'
import {
  type Metadata,
  Server,
  ServerCredentials,
  type ServerDuplexStream,
  type ServerUnaryCall,
  type ServerWritableStream,
  type sendUnaryData,
  status,
} from '@grpc/grpc-js'
import { SANDBOX_LABEL } from '../../src/openshell/sandbox-plan.ts'
import {
  type Message,
  openshellServices,
  PHASES,
  type Protocol,
  type RequestOf,
} from '../../src/openshell/service.ts'
import { type CommandFaults, SandboxCommands } from './sandbox-commands.ts'

type Phase = (typeof PHASES)[number]
type Fields = Record<string, unknown>
export interface Refusal {
  code: status
  details: string
}

export interface FakeSandbox {
  id: string
  name: string
  labels: Record<string, string>
  spec: Message<'SandboxSpec'>
  phase: Phase
  message: string
  rules: Record<string, Message<'NetworkPolicyRule'>>
}

export interface FakeProvider {
  metadata: { id: string; name: string; labels: Record<string, string> }
  type: string
  credentials: Record<string, string>
  config: Record<string, string>
  refresh?: { strategy: number; material: Record<string, string>; secret: readonly string[] }
}

export interface Faults extends CommandFaults {
  /** Consulted before a call is done; `nth` counts the calls of this name from 1. */
  refuse?: (method: string, nth: number) => Refusal | undefined
  /** The call is done, and its answer is this. */
  loseAnswer?: (method: string, nth: number) => Refusal | undefined
  /** What a sandbox is, at each look; the last stays. */
  phases?: Phase[]
  /** Answers nothing at all. */
  isSilent?: boolean
  rotateFails?: boolean
}

export interface GatewayServerOptions {
  protocol?: Protocol
  version?: string
  /** Of TLS; with `clientCa` callers show a certificate of it. */
  tls?: { cert: string; key: string; clientCa?: string }
  /** Where a sandbox's port is on this machine. */
  port?: number
}

const refusal = (code: status, details: string): Refusal => ({ code, details })
const isRefusal = (answer: object): answer is Refusal => 'code' in answer && 'details' in answer

export class GatewayServer {
  readonly #options: GatewayServerOptions
  readonly #server = new Server({ 'grpc.max_receive_message_length': 1024 * 1024 })
  readonly sandboxes = new Map<string, FakeSandbox>()
  readonly providers = new Map<string, FakeProvider>()
  route: { provider: string; model: string; noVerify: boolean } | undefined
  hasProfiles = false
  faults: Faults = {}
  /** The workspace of each call, its name, and what it bore. */
  readonly calls: {
    method: string
    workspace: string
    metadata: Record<string, unknown>
    request: Fields
  }[] = []
  /** Taken when set; a caller shows one of them. */
  readonly tokens = new Set<string>()
  /** Called before a caller hears that its token is not taken. */
  onUnauthorized: () => void = () => undefined
  readonly sshTokens = new Map<string, { sandbox: string; open: number }>()
  readonly commands = new SandboxCommands(() => this.#changed())
  readonly #sockets = new Set<Socket>()
  readonly #changes = new Set<() => void>()
  #port = 0

  constructor(options: GatewayServerOptions = {}) {
    this.#options = options
  }

  get url(): string {
    return `${this.#options.tls === undefined ? 'http' : 'https'}://localhost:${this.#port}`
  }

  async open(): Promise<void> {
    const services = openshellServices(this.#options.protocol ?? '0.0')
    const { ExecSandbox, ForwardTcp, ...unary } = services
    const answers = Object.fromEntries(
      Object.keys(unary).map((name) => [
        name,
        (call: ServerUnaryCall<Fields, object>, done: sendUnaryData<object>) =>
          this.#answer(name, call, done),
      ]),
    )
    this.#server.addService(
      { ...unary, ExecSandbox, ForwardTcp } as never,
      {
        ...answers,
        ExecSandbox: (call: ServerWritableStream<Fields, object>) => this.#exec(call),
        ForwardTcp: (call: ServerDuplexStream<RequestOf<'ForwardTcp'>, object>) => this.#forward(call),
      } as never,
    )
    const { tls } = this.#options
    const credentials =
      tls === undefined
        ? ServerCredentials.createInsecure()
        : ServerCredentials.createSsl(
            tls.clientCa === undefined ? null : Buffer.from(tls.clientCa),
            [{ cert_chain: Buffer.from(tls.cert), private_key: Buffer.from(tls.key) }],
            tls.clientCa !== undefined,
          )
    this.#port = await new Promise<number>((resolve, reject) =>
      this.#server.bindAsync('127.0.0.1:0', credentials, (error, port) =>
        error === null ? resolve(port) : reject(error),
      ),
    )
  }

  close(): void {
    this.#server.forceShutdown()
    for (const socket of this.#sockets) socket.destroy()
    this.commands.kill()
  }

  count(method: string): number {
    return this.calls.filter((call) => call.method === method).length
  }

  /** Resolves when it holds; looked at whenever something is asked, or a command ends. */
  async until(holds: () => boolean): Promise<void> {
    while (!holds()) await new Promise<void>((resolve) => this.#changes.add(resolve))
  }

  #changed(): void {
    const waiting = [...this.#changes]
    this.#changes.clear()
    for (const wake of waiting) wake()
  }

  #note(method: string, metadata: Metadata, request: Fields): Refusal | undefined {
    const { protocol = '0.0' } = this.#options
    const scope = Object(request['workspace_scope'])['workspace']
    const workspace = String((protocol === '0.0' ? request['workspace'] : scope) ?? '')
    this.calls.push({ method, workspace, metadata: metadata.getMap(), request })
    this.#changed()
    const shown = String(metadata.get('authorization')[0] ?? '').replace('Bearer ', '')
    if (this.tokens.size > 0 && method !== 'Health' && !this.tokens.has(shown)) {
      this.onUnauthorized()
      return refusal(status.UNAUTHENTICATED, 'token expired')
    }
    return this.faults.refuse?.(method, this.count(method))
  }

  #answer(name: string, call: ServerUnaryCall<Fields, object>, done: sendUnaryData<object>): void {
    if (this.faults.isSilent === true) return
    const refused = this.#note(name, call.metadata, call.request)
    const answer = refused ?? this.#unary(name, call.request)
    const lost = refused === undefined ? this.faults.loseAnswer?.(name, this.count(name)) : undefined
    const said = lost ?? answer
    if (isRefusal(said)) done(said)
    else done(null, said)
  }

  #unary(name: string, request: Fields): object {
    switch (name) {
      case 'Health': {
        const { protocol = '0.0', version = protocol === '0.0' ? '0.0.111' : '0.1.5' } = this.#options
        return { version }
      }
      case 'GetGatewayConfig':
        return {
          settings: [
            { key: 'unset' },
            { key: 'providers_v2_enabled', value: { bool_value: this.hasProfiles } },
          ],
        }
      case 'UpdateConfig':
        return this.#updateConfig(request as RequestOf<'UpdateConfig'>)
      case 'SetInferenceRoute': {
        const {
          provider_name = '',
          model_id = '',
          no_verify = false,
        } = request as RequestOf<'SetInferenceRoute'>
        const provider = this.providers.get(provider_name)
        if (provider === undefined) return refusal(status.FAILED_PRECONDITION, 'provider not found')
        if (provider.type === 'claude-code')
          return refusal(status.INVALID_ARGUMENT, 'unsupported provider type')
        this.route = { provider: provider_name, model: model_id, noVerify: no_verify }
        return {}
      }
      case 'GetInferenceRoute':
        return this.route === undefined
          ? refusal(status.NOT_FOUND, 'no route')
          : { provider_name: this.route.provider, model_id: this.route.model }
      default:
        return name.includes('Provider') ? this.#provider(name, request) : this.#sandbox(name, request)
    }
  }

  #updateConfig(request: RequestOf<'UpdateConfig'>): object {
    if (request.global === true) {
      this.hasProfiles = request.setting_value?.bool_value === true
      return {}
    }
    const sandbox = this.sandboxes.get(this.#nameIn(request))
    if (sandbox === undefined) return refusal(status.NOT_FOUND, 'sandbox not found')
    for (const { add_rule } of request.merge_operations ?? [])
      if (add_rule?.rule_name !== undefined) sandbox.rules[add_rule.rule_name] = add_rule.rule ?? {}
    return {}
  }

  #nameIn(request: { name?: string; sandbox?: string }): string {
    return (this.#options.protocol === '0.1' ? request.sandbox : request.name) ?? ''
  }

  #provider(name: string, request: Fields): object {
    const named = request as RequestOf<'GetProvider'>
    switch (name) {
      case 'CreateProvider':
      case 'UpdateProvider': {
        const {
          metadata,
          type = '',
          credentials = {},
          config = {},
        } = (request as RequestOf<'CreateProvider'>).provider ?? {}
        const key = metadata?.name ?? ''
        const before = this.providers.get(key)
        if (name === 'CreateProvider' && before !== undefined)
          return refusal(status.ALREADY_EXISTS, 'provider already exists')
        if (name === 'UpdateProvider' && before === undefined)
          return refusal(status.NOT_FOUND, 'provider not found')
        if (before !== undefined && before.type !== type)
          return refusal(status.INVALID_ARGUMENT, 'provider type cannot be changed')
        const provider = before ?? {
          metadata: { id: randomUUID(), name: key, labels: metadata?.labels ?? {} },
          ...{ type, credentials: {}, config: {} },
        }
        Object.assign(provider.credentials, credentials)
        Object.assign(provider.config, config)
        this.providers.set(key, provider)
        return { provider: { ...provider, credentials: {} } }
      }
      case 'GetProvider': {
        const provider = this.providers.get(named.name ?? '')
        return provider === undefined ? refusal(status.NOT_FOUND, 'provider not found') : { provider }
      }
      case 'ListProviders':
        return { providers: [...this.providers.values()] }
      case 'DeleteProvider': {
        const users = [...this.sandboxes.values()].filter(({ spec }) =>
          spec.providers?.includes(named.name ?? ''),
        )
        if (users.length > 0) return refusal(status.FAILED_PRECONDITION, 'provider is attached')
        return this.providers.delete(named.name ?? '') ? {} : refusal(status.NOT_FOUND, 'provider not found')
      }
      case 'ConfigureProviderRefresh': {
        const refresh = request as RequestOf<'ConfigureProviderRefresh'>
        const provider = this.providers.get(refresh.provider ?? '')
        if (provider === undefined) return refusal(status.NOT_FOUND, 'provider not found')
        const { strategy = 0, material = {}, secret_material_keys: secret = [] } = refresh
        provider.refresh = { strategy, material, secret }
        return {}
      }
      default:
        return this.faults.rotateFails === true
          ? refusal(status.FAILED_PRECONDITION, 'token host said no')
          : {}
    }
  }

  #sandbox(name: string, request: Fields): object {
    if (name === 'CreateSandbox') return this.#create(request as RequestOf<'CreateSandbox'>)
    if (name === 'ListSandboxes') return { sandboxes: [...this.sandboxes.values()].map(shown) }
    if (name === 'RevokeSshSession')
      return this.sshTokens.delete((request as RequestOf<'RevokeSshSession'>).token ?? '')
        ? {}
        : refusal(status.NOT_FOUND, 'no session')
    if (name === 'CreateSshSession' || name === 'GetSandboxLogs') return this.#inside(name, request)
    const found = this.sandboxes.get((request as RequestOf<'GetSandbox'>).name ?? '')
    if (found === undefined) return refusal(status.NOT_FOUND, 'sandbox not found')
    if (name === 'GetSandbox') found.phase = this.faults.phases?.shift() ?? found.phase
    if (name === 'DeleteSandbox') this.sandboxes.delete(found.name)
    if (name === 'StopSandbox') {
      if (found.phase !== 'READY') return refusal(status.FAILED_PRECONDITION, 'sandbox must be Ready to stop')
      found.phase = 'STOPPED'
    }
    if (name === 'StartSandbox') {
      if (found.phase !== 'STOPPED')
        return refusal(status.FAILED_PRECONDITION, 'sandbox must be Stopped to start')
      found.phase = 'READY'
    }
    // What runs in a sandbox ends with it.
    if (name === 'DeleteSandbox' || name === 'StopSandbox') this.commands.kill()
    return { sandbox: shown(found) }
  }

  #create({ name = '', spec = {}, labels = {} }: RequestOf<'CreateSandbox'>): object {
    if (name.length > 19) return refusal(status.INVALID_ARGUMENT, 'name exceeds maximum length')
    if (this.sandboxes.has(name)) return refusal(status.ALREADY_EXISTS, 'sandbox already exists')
    const missing = spec.providers?.find((provider) => !this.providers.has(provider))
    if (missing !== undefined) return refusal(status.FAILED_PRECONDITION, `provider '${missing}' not found`)
    const made = { id: randomUUID(), name, labels, spec, phase: 'READY' as Phase, message: '', rules: {} }
    this.sandboxes.set(name, made)
    return { sandbox: { ...shown(made), status: { phase: PHASES.indexOf('PROVISIONING') } } }
  }

  #inside(name: string, request: Fields): object {
    const sandbox = this.#find(request)
    if (isRefusal(sandbox)) return sandbox
    if (name === 'CreateSshSession') {
      const token = randomUUID()
      this.sshTokens.set(token, { sandbox: sandbox.id, open: 0 })
      return { token }
    }
    const line = {
      level: 'INFO',
      source: 'supervisor',
      message: `policy loaded for ${sandbox.name}\u001b[2J\n2027`,
    }
    return { logs: [{ ...line, timestamp_ms: 1_790_000_000_000, event_time: { seconds: 1_790_000_000 } }] }
  }

  /** By its id in the first form, by its name in the second. */
  #find(request: Fields): FakeSandbox | Refusal {
    const isByName = this.#options.protocol === '0.1'
    const found = [...this.sandboxes.values()].find(({ id, name }) =>
      isByName ? name === request['sandbox'] : id === request['sandbox_id'],
    )
    if (found === undefined) return refusal(status.NOT_FOUND, 'sandbox not found')
    return found.phase === 'READY' ? found : refusal(status.FAILED_PRECONDITION, 'sandbox is not ready')
  }

  #exec(call: ServerWritableStream<Fields, object>): void {
    const refused = this.#note('ExecSandbox', call.metadata, call.request)
    const sandbox = refused ?? this.#find(call.request)
    if (isRefusal(sandbox)) return void call.emit('error', sandbox)
    const { command = [], environment = {}, stdin } = call.request as RequestOf<'ExecSandbox'>
    this.commands.run(call, {
      command,
      env: { ...sandbox.spec.environment, ...environment },
      stdin: stdin ?? Buffer.alloc(0),
      faults: this.faults,
    })
  }

  #forward(call: ServerDuplexStream<RequestOf<'ForwardTcp'>, object>): void {
    const refuse = (answer: Refusal): void => void call.emit('error', answer)
    call.once('data', ({ init = {} }: RequestOf<'ForwardTcp'>) => {
      const refused = this.#note('ForwardTcp', call.metadata, init as Fields)
      if (refused !== undefined) return refuse(refused)
      const session = this.sshTokens.get(init.authorization_token ?? '')
      if (session === undefined) return refuse(refusal(status.UNAUTHENTICATED, 'SSH session token not found'))
      session.open += 1
      if (session.open > 3) return refuse(refusal(status.RESOURCE_EXHAUSTED, 'connection limit reached'))
      const socket = connect(this.#options.port ?? init.tcp?.port ?? 0, init.tcp?.host ?? '')
      this.#sockets.add(socket)
      socket.once('close', () => this.#sockets.delete(socket))
      socket.on('data', (data: Buffer) => void call.write({ data }))
      socket.once('end', () => call.end())
      socket.once('error', () => call.end())
      call.on('data', ({ data }: RequestOf<'ForwardTcp'>) => void socket.write(data ?? Buffer.alloc(0)))
      call.once('end', () => socket.end())
      call.once('cancelled', () => socket.destroy())
    })
  }

  /** Whether a launcher's label is on something that is left. */
  get leftovers(): string[] {
    const providers = [...this.providers.values()].map(({ metadata }) => metadata)
    return [...this.sandboxes.values(), ...providers].flatMap(({ name, labels }) =>
      labels[SANDBOX_LABEL] === undefined ? [] : [name],
    )
  }
}

function shown({ id, name, labels, phase, message }: FakeSandbox): object {
  const conditions = message === '' ? [] : [{ status: 'False', reason: 'Failed', message }]
  return { metadata: { id, name, labels }, status: { phase: PHASES.indexOf(phase), conditions } }
}
