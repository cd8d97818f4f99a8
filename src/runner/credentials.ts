import { readFile, stat } from 'node:fs/promises'
import type { Config, Env } from '../config.ts'
import { heldEnvironment, SESSION_HEADER, secretsOf } from '../model-route/credentials.ts'
import type { BrokerDoor } from '../model-route/probe.ts'
import type { ModelRoute } from '../model-route/route.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import { createRedactor, type Redactor } from '../redaction/redactor.ts'
import type { EnforcementReport } from '../sandbox/report.ts'
import { isConfining } from '../sandbox/report.ts'
import { type Logger, redactLines } from '../telemetry/logger.ts'
import type { Said } from './checks.ts'
import { urlCredentials } from './workspace.ts'

/** The holder of the model route's credential, and what the agent gets in the credential's place. */
export interface Credentials {
  /** The environment that Claude Code's own environment is taken from. */
  readonly agentEnv: Env
  /** The kind of route that the agent finds in `agentEnv`. */
  readonly agentRoute: ModelRoute['kind']
  /** Names of variables of `agentEnv` that the agent's route does not pass by itself. */
  readonly alsoPass: readonly string[]
  /** The base URL of the agent's model requests; undefined when the route has none. */
  readonly modelUrl: string | undefined
  /** The broker that all model requests go through; undefined without a broker. */
  readonly through: BrokerDoor | undefined
  /** The token that the agent gets in place of the credential. It is redacted like a credential. */
  readonly token: string | undefined
  /** Says where the credential is, for `/ready` and `doctor`. */
  describe(report: EnforcementReport): Promise<Said & { isExposed: boolean }>
  /** Loads what the first model request needs. */
  warm(): Promise<void>
  /** Closes the broker, if any. Safe to call twice. */
  close(): Promise<void>
}

export interface CredentialsPlace {
  config: Pick<Config, 'credentials' | 'gatewaySocket'>
  env: Env
  /** The file of `--credential-file`; undefined when the environment has the credentials. */
  credentialFile?: string | undefined
}

/** Opens a broker when the route has a credential that can be kept from the agent. Otherwise the agent keeps it. */
export async function openCredentials(place: CredentialsPlace, route: ModelRoute): Promise<Credentials> {
  const { env } = place
  const why = passedBecause(place, route)
  if (why !== undefined) return asTheyAre(env, route, why)
  const { openOwnBroker } = await import('../broker/own-broker.ts')
  const { url, token, warm, close } = await openOwnBroker({ route, env })
  const isCloud = route.kind === 'vertex' || route.kind === 'bedrock'
  return {
    agentEnv: heldEnvironment(env, route.kind, { url, token }),
    agentRoute: isCloud ? route.kind : 'custom',
    alsoPass: isCloud ? ['ANTHROPIC_CUSTOM_HEADERS'] : [],
    modelUrl: url,
    through: { url, headers: { [SESSION_HEADER]: token } },
    token,
    async describe(report) {
      const reader = isConfining(report) ? undefined : await readableIn(place, route)
      if (reader === undefined) return { says: 'held outside', isExposed: false }
      return { says: `readable by the agent's user ${reader}: ${REMEDY}`, isExposed: true }
    },
    warm,
    close,
  }
}

/** Logs where the credential is. Called after the start of the server, so that no client waits for it. */
export async function logCredentials(
  { describe, warm }: Credentials,
  { report }: { report: EnforcementReport },
  logger: Logger,
): Promise<void> {
  const [{ says, isExposed }] = await Promise.all([describe(report), warm()])
  if (isExposed) logger.warn(`credentials: ${says}`)
  else logger.info(`credentials: ${says}`)
}

/** Returns a redactor of the runner's own secrets. From this call on, the logger redacts them too. */
export function redactorOf(
  { config, env, logger }: { config: Config; env: Env; logger: Logger },
  token: string | undefined,
): Redactor {
  const files = config.mcpConfigFile === undefined ? [] : [config.mcpConfigFile]
  const known = readKnownSecrets({ ...env, ...urlCredentials(config) }, files)
  const redactor = createRedactor({ values: token === undefined ? known : [...known, token] })
  redactLines(logger, redactor.redactText)
  return redactor
}

const REMEDY =
  'have the policy enforced (POLICY_ENFORCEMENT=required says what is missing), or give it by --credential-file from a pipe'

interface Passed {
  says: string
  isExposed: boolean
}

/** Returns why the agent keeps its environment, and undefined when a broker can hold the credential. */
function passedBecause({ config, env }: CredentialsPlace, { kind }: ModelRoute): Passed | undefined {
  if (kind === 'none') return { says: 'none', isExposed: false }
  if (config.gatewaySocket !== undefined)
    return { says: 'held outside: the broker behind AGUI_GATEWAY_SOCKET has them', isExposed: false }
  if (kind === 'gateway') return { says: "held outside: OpenShell's gateway has them", isExposed: false }
  const isCloud = kind === 'vertex' || kind === 'bedrock'
  if (!isCloud && secretsOf(env, kind).length === 0) return { says: 'none needed', isExposed: false }
  const passed = (why: string): Passed => ({ says: `in the agent's environment: ${why}`, isExposed: true })
  if (config.credentials === 'pass') return passed('AGUI_CREDENTIALS=pass')
  // OpenShell's policy judges the program that connects, and the broker's connections would not be Claude Code's.
  if (env['OPENSHELL_SANDBOX'] === '1') return passed('OpenShell judges Claude Code’s own connections')
  if (/^(?:1|true|yes|on)$/i.test(env['OPENSHELL_ENABLED'] ?? ''))
    return passed('OPENSHELL_ENABLED puts the agent where only OpenShell’s proxy is reached')
  return undefined
}

function asTheyAre(env: Env, route: ModelRoute, { says, isExposed }: Passed): Credentials {
  return {
    agentEnv: env,
    agentRoute: route.kind,
    alsoPass: [],
    modelUrl: route.baseUrl ?? undefined,
    through: undefined,
    token: undefined,
    describe: () => Promise.resolve({ says, isExposed }),
    warm: () => Promise.resolve(),
    close: () => Promise.resolve(),
  }
}

/**
 * Returns where an unconfined agent can read the credential, and undefined when nowhere. One place is the initial
 * environment of this process or of an ancestor, which the system shows to the same user. The other is a file. Memory
 * is not searched.
 */
async function readableIn(
  { env, credentialFile }: CredentialsPlace,
  { kind }: ModelRoute,
): Promise<string | undefined> {
  if (kind === 'vertex' || kind === 'bedrock')
    return "(the cloud's credentials are files and services of this machine)"
  const secrets = secretsOf(env, kind)
  for (let pid = process.pid; pid > 0; pid = await parentOf(pid)) {
    const environ = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
    if (secrets.some((secret) => environ.includes(secret))) return `(/proc/${pid}/environ)`
  }
  if (credentialFile === undefined) return undefined
  // A pipe is empty by now, so only a regular file counts.
  const isFile = await stat(credentialFile).then(
    (it) => it.isFile(),
    () => false,
  )
  return isFile ? `(${credentialFile})` : undefined
}

async function parentOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
  return Number(/^PPid:\s+(\d+)$/m.exec(status)?.[1] ?? 0)
}
