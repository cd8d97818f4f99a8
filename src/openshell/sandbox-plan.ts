import { RunnerError } from '../errors.ts'
import type { Message } from './service.ts'

/** The plan of a launch at a gateway: JSON without a secret. Equal input makes an equal plan. */
export interface SandboxPlan {
  /** `https://HOST:PORT`. */
  gateway: string
  workspace: string
  /** The sandbox's name, from which the names of its providers are derived. */
  name: string
  image: string
  labels: Record<string, string>
  /** The environment of every process in the sandbox, which a stop does not remove. */
  environment: Record<string, string>
  /** Further settings of the driver, by the driver's name. */
  driverConfig: Record<string, unknown>
  /** Providers that are created for this sandbox and removed with it. */
  providers: ProviderPlan[]
  /** Names of existing providers to attach. */
  attached: string[]
  /** The workspace's only route to a model. Undefined leaves the route as it is. */
  inference: InferencePlan | undefined
  /** The policy that replaces the image's /etc/openshell/policy.yaml. */
  policy: Message<'SandboxPolicy'> | undefined
  /** Rules that are added to the policy when the sandbox is ready, by name. */
  rules: Record<string, Message<'NetworkPolicyRule'>>
  uploads: UploadPlan[]
  command: string[]
  /** The TCP port in the sandbox, and the listener here: a port of 127.0.0.1 (0: any), or a socket's path. */
  forward: { port: number; listen: number | string }
  onEnd: OnEnd
}

/**
 * The action on the sandbox when the launch ends or fails. `auto` deletes a sandbox that this launch created, and
 * leaves one that existed before.
 */
export type OnEnd = 'auto' | 'delete' | 'stop' | 'leave'

export interface ProviderPlan {
  name: string
  /** OpenShell's provider type. */
  type: string
  /** Names of the variables that the provider sets in the sandbox. */
  credentials: string[]
  config: Record<string, string>
  refresh: RefreshPlan | undefined
}

/** A credential that the gateway fetches, and renews before it expires. */
export interface RefreshPlan {
  credential: string
  /** OpenShell's number of the refresh strategy. */
  strategy: number
  /** Names of the values that the gateway fetches the credential with. */
  material: string[]
  secretMaterial: string[]
}

export interface InferencePlan {
  provider: ProviderPlan
  model: string
  /** Whether the gateway tries the model's upstream before it accepts the route. */
  isVerified: boolean
}

/** A file or folder of this machine, and the folder of the sandbox that receives it. */
export interface UploadPlan {
  source: string
  target: string
}

/** Label of everything that a launch creates. Its value is the sandbox's name. */
export const SANDBOX_LABEL = 'agui-runner.sandbox'
/** Label with the id of the launch that created the sandbox. */
export const RUN_LABEL = 'agui-runner.run'

/** Upper bound of a sandbox's name. Only gateways older than the supported ones take longer names. */
const NAME_CHARS_MAX = 19
const NAME = /^[a-z0-9]+(?:-[a-z0-9]+)*$/
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]{0,255}$/
const PATH = /^(?:\/[A-Za-z0-9_][A-Za-z0-9_.-]*|\/\.[A-Za-z0-9_][A-Za-z0-9_.-]*)+$/
const LIMITS = {
  imageChars: 1024,
  variables: 128,
  valueBytes: 8192,
  environmentBytes: 256 * 1024,
  providers: 32,
  credentials: 32,
  configEntries: 64,
  argumentCount: 1024,
  argumentBytes: 32 * 1024,
  commandBytes: 256 * 1024,
  driverConfigBytes: 64 * 1024,
} as const

/**
 * Returns the plan when a gateway would accept it (control-plane.md 3.4). Pure.
 *
 * @throws {RunnerError} `config_invalid` with every problem, in the message and as `details`.
 */
export function checkPlan(plan: SandboxPlan): SandboxPlan {
  const problems = [
    ...nameProblems(plan),
    ...environmentProblems(plan.environment),
    ...providerProblems(plan),
    ...commandProblems(plan.command),
    ...driverProblems(plan.driverConfig),
    ...plan.uploads.flatMap(({ target }) =>
      PATH.test(target) ? [] : [`upload: ${target} is not a plain absolute path without .. in it`],
    ),
    ...(isPort(plan.forward.port) ? [] : ['forward: a port is 1 to 65535']),
  ]
  if (problems.length === 0) return plan
  throw new RunnerError('config_invalid', `This cannot be launched:\n  ${problems.join('\n  ')}`, {
    details: problems,
  })
}

function nameProblem(name: string): string | undefined {
  if (name.length <= NAME_CHARS_MAX && NAME.test(name)) return undefined
  return `a-z, 0-9 and single hyphens between them, at most ${NAME_CHARS_MAX} characters`
}

function nameProblems({ name, workspace, image }: SandboxPlan): string[] {
  const wrong = nameProblem(name)
  const wrongWorkspace = nameProblem(workspace)
  const isImage = image !== '' && image.length <= LIMITS.imageChars && !/[\s\0]/.test(image)
  return [
    ...(wrong === undefined ? [] : [`name: ${wrong}`]),
    ...(wrongWorkspace === undefined ? [] : [`workspace: ${wrongWorkspace}`]),
    ...(isImage ? [] : ['image: a reference without blanks']),
  ]
}

function environmentProblems(environment: Readonly<Record<string, string>>): string[] {
  const entries = Object.entries(environment)
  const total = entries.reduce((sum, [name, value]) => sum + bytesOf(name) + bytesOf(value), 0)
  return [
    ...(entries.length > LIMITS.variables ? [`environment: at most ${LIMITS.variables} variables`] : []),
    ...(total > LIMITS.environmentBytes
      ? [`environment: at most ${LIMITS.environmentBytes} bytes together`]
      : []),
    ...entries.flatMap(([name, value]) => {
      if (!VARIABLE.test(name)) return [`environment: ${JSON.stringify(name)} is no name of a variable`]
      if (name.startsWith('OPENSHELL_')) return [`environment: ${name} is OpenShell's own`]
      if (/[\0\r\n]/.test(value)) return [`environment: ${name} must be one line`]
      return bytesOf(value) > LIMITS.valueBytes
        ? [`environment: ${name} is longer than ${LIMITS.valueBytes} bytes`]
        : []
    }),
  ]
}

function providerProblems({ providers, attached, inference }: SandboxPlan): string[] {
  const all = [...providers.map(({ name }) => name), ...attached]
  const twice = all.find((name, index) => all.indexOf(name) !== index)
  const own = inference === undefined ? providers : [...providers, inference.provider]
  return [
    ...(all.length > LIMITS.providers ? [`providers: at most ${LIMITS.providers}`] : []),
    ...(twice === undefined ? [] : [`providers: ${twice} is there twice`]),
    ...(inference !== undefined && inference.model.trim() === '' ? ['inference: name the model'] : []),
    ...own.flatMap(({ name, credentials, config, refresh }) => {
      const wrong = credentials.filter((key) => !VARIABLE.test(key))
      return [
        ...wrong.map((key) => `provider ${name}: ${JSON.stringify(key)} is no name of a variable`),
        ...(credentials.length === 0 && refresh === undefined
          ? [`provider ${name}: name the variables that hold its credential: TYPE=NAME,NAME`]
          : []),
        ...(credentials.length > LIMITS.credentials
          ? [`provider ${name}: at most ${LIMITS.credentials} credentials`]
          : []),
        ...(Object.keys(config).length > LIMITS.configEntries
          ? [`provider ${name}: at most ${LIMITS.configEntries} settings`]
          : []),
      ]
    }),
  ]
}

/** Checks the command as the gateway counts it: one quoted line, in which a single quote takes five characters. */
function commandProblems(command: readonly string[]): string[] {
  const line = command.reduce((sum, word) => sum + bytesOf(word.replaceAll("'", `'"'"'`)) + 3, 0)
  return [
    ...(command.length === 0 || command[0] === '' ? ['command: at least one word'] : []),
    ...(command.length > LIMITS.argumentCount ? [`command: at most ${LIMITS.argumentCount} words`] : []),
    ...(command.some((word) => bytesOf(word) > LIMITS.argumentBytes)
      ? [`command: no word longer than ${LIMITS.argumentBytes} bytes`]
      : []),
    ...(command.some((word) => word.includes('\0')) ? ['command: no NUL'] : []),
    ...(line > LIMITS.commandBytes ? [`command: at most ${LIMITS.commandBytes} bytes`] : []),
  ]
}

function driverProblems(config: Readonly<Record<string, unknown>>): string[] {
  const json = JSON.stringify(config)
  return [
    ...(bytesOf(json) > LIMITS.driverConfigBytes
      ? [`driver config: at most ${LIMITS.driverConfigBytes} bytes`]
      : []),
    // The policy's `process` sets the agent's user, and the supervisor its capabilities.
    ...(/"security_?context"\s*:/i.test(json)
      ? [
          'driver config: a security context is the driver’s own to set; the policy’s `process` names the user',
        ]
      : []),
  ]
}

function isPort(port: number): boolean {
  return Number.isInteger(port) && port > 0 && port <= 65535
}

function bytesOf(text: string): number {
  return Buffer.byteLength(text)
}
