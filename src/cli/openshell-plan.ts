import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { z } from 'zod'
import type { Env } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { readGoogleCredential } from '../openshell/google-refresh.ts'
import { policyMessage, rulesMessage } from '../openshell/policy-message.ts'
import { type ProviderType, providerType } from '../openshell/provider-types.ts'
import type { ProviderSecrets } from '../openshell/providers.ts'
import {
  checkPlan,
  type InferencePlan,
  type OnEnd,
  type ProviderPlan,
  type SandboxPlan,
} from '../openshell/sandbox-plan.ts'
import { loadPolicy } from '../policy/read/load.ts'
import { type Release, TYPED } from '../policy/read/release.ts'
import type { Policy } from '../policy/read/schema.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'

export interface SandboxFlags {
  gateway: string
  workspace: string
  name?: string
  image: string
  env: string[]
  provider: string[]
  attach: string[]
  inference?: string
  inferenceUrl?: string
  model?: string
  verify: boolean
  policy?: string
  rules?: string
  upload: string[]
  driverConfig?: string
  listen: number | string
  port: number
  onEnd: OnEnd
}

export interface PlannedLaunch {
  plan: SandboxPlan
  secrets: ProviderSecrets
}

/** The variables by which a runner in a sandbox finds its model, as the control plane sets them (openshell.md 6.2). */
const MODEL_ENVIRONMENT = {
  ACP_OPENSHELL_INFERENCE: 'true',
  ANTHROPIC_BASE_URL: 'https://inference.local',
}
const PLACEHOLDER_KEY = { ANTHROPIC_API_KEY: 'notused' }
/** Vertex refuses the experimental betas in a request. */
const VERTEX_ENVIRONMENT = { CLAUDE_CODE_DISABLE_EXPERIMENTAL_BETAS: '1' }
const VERTEX_REGION = 'us-central1'
const GOOGLE_FILE = 'GOOGLE_APPLICATION_CREDENTIALS'
const ENTRYPOINT = ['/runner/entrypoint.sh']

const JsonObject = z.record(z.string(), z.unknown())

/**
 * Makes the plan that the flags describe, with the credentials apart from it.
 *
 * @throws {RunnerError} `config_invalid`. @throws {PolicyError}
 */
export async function planSandbox(
  flags: SandboxFlags,
  { command, env }: { command: readonly string[]; env: Env },
): Promise<PlannedLaunch> {
  const name = flags.name ?? `agui-${randomBytes(6).toString('hex')}`
  const own = await Promise.all(flags.provider.map((text) => readProvider(text, { sandbox: name, env })))
  const inference = await readInference(flags, env)
  const asks = own.some(({ plan }) => plan.credentials.includes('ANTHROPIC_API_KEY'))
  const rules = flags.rules === undefined ? {} : (await loadForSomeRelease(flags.rules)).network_policies
  const plan = checkPlan({
    gateway: flags.gateway,
    workspace: flags.workspace,
    name,
    image: flags.image,
    labels: {},
    environment: {
      ...MODEL_ENVIRONMENT,
      ...(asks ? {} : PLACEHOLDER_KEY),
      ...(inference?.plan.provider.type === 'google-vertex-ai' ? VERTEX_ENVIRONMENT : {}),
      ...readEnvironment(flags.env),
    },
    driverConfig: flags.driverConfig === undefined ? {} : await readJson(flags.driverConfig),
    providers: own.map(({ plan }) => plan),
    attached: flags.attach,
    inference: inference?.plan,
    policy: flags.policy === undefined ? undefined : policyMessage(await loadForSomeRelease(flags.policy)),
    rules: rulesMessage(rules),
    uploads: flags.upload.map(readUpload),
    command: command.length === 0 ? ENTRYPOINT : [...command],
    forward: { port: flags.port, listen: flags.listen },
    onEnd: flags.onEnd,
  })
  const all =
    inference === undefined ? own : [...own, { plan: inference.plan.provider, values: inference.values }]
  const secrets = Object.fromEntries(all.map(({ plan: { name: provider }, values }) => [provider, values]))
  checkSecrets(plan, secretValues(secrets), env)
  return { plan, secrets }
}

/** Loads a policy that one of the wire forms can carry. Which release the gateway is, is known once it was asked. */
async function loadForSomeRelease(file: string): Promise<Policy> {
  try {
    return await loadPolicy(file)
  } catch (error) {
    return await loadPolicy(file, TYPED).catch(() => {
      throw error
    })
  }
}

/**
 * Checks the policy files against the gateway's release. A gateway ignores what it does not know of a message, so the
 * policy in force would be another one.
 *
 * @throws {PolicyError}
 */
export async function checkPolicies(
  { policy, rules }: Pick<SandboxFlags, 'policy' | 'rules'>,
  release: Release,
): Promise<void> {
  for (const file of [policy, rules]) if (file !== undefined) await loadPolicy(file, release)
}

export function secretValues(secrets: ProviderSecrets): string[] {
  return Object.values(secrets).flatMap(({ credentials, material }) => [
    ...Object.values(credentials),
    ...Object.values(material),
  ])
}

/** Refuses a credential in the plan, which is printed, and in the environment, which the whole workspace can read. */
function checkSecrets(plan: SandboxPlan, values: readonly string[], env: Env): void {
  const named = Object.entries(plan.environment).filter(
    ([name, value]) => readKnownSecrets({ [name]: value }).length > 0,
  )
  for (const [name] of named)
    throw invalid(`--env ${name} would be a credential that everybody in the workspace reads; use --provider`)
  const json = JSON.stringify(plan)
  if ([...values, ...readKnownSecrets(env)].some((secret) => secret !== '' && json.includes(secret)))
    throw invalid('a credential would stand in the plan; --provider takes the names of variables')
}

interface ReadProvider {
  plan: ProviderPlan
  values: ProviderSecrets[string]
}

/** Reads `TYPE`, or `TYPE=NAME,NAME` with the variables of this process that hold the credential. */
async function readProvider(
  text: string,
  { sandbox, env }: { sandbox: string; env: Env },
): Promise<ReadProvider> {
  const [platformType = '', list = ''] = text.split(/=(.*)/s)
  if (!/^[a-z][a-z0-9-]{0,63}$/.test(platformType))
    throw invalid(`--provider ${platformType}: no type of a provider`)
  const type = providerType(platformType)
  const names = list === '' ? [...type.credentials] : list.split(',')
  return await provider({ name: `${sandbox}-${platformType}`, type: type.type, names, kind: type, env })
}

async function readInference(
  { inference, inferenceUrl, model, verify }: SandboxFlags,
  env: Env,
): Promise<{ plan: InferencePlan; values: ProviderSecrets[string] } | undefined> {
  if (inference === undefined) {
    if ((inferenceUrl ?? model) === undefined) return undefined
    throw invalid('--model and --inference-url belong to --inference')
  }
  const kind = providerType(inference)
  if (kind.route === undefined)
    throw invalid(
      `--inference ${inference}: no route is made of it; anthropic, vertex, openai, deepinfra or nvidia`,
    )
  const read = await provider({
    name: `agui-runner-${kind.route}`,
    type: kind.route,
    names: [...kind.credentials],
    kind,
    env,
  })
  const config =
    inferenceUrl === undefined
      ? {}
      : { [`${inference === 'openai' ? 'OPENAI' : 'ANTHROPIC'}_BASE_URL`]: inferenceUrl }
  return {
    plan: {
      provider: { ...read.plan, config: { ...read.plan.config, ...config } },
      model: model ?? env['LLM_MODEL'] ?? '',
      isVerified: verify,
    },
    values: read.values,
  }
}

interface ProviderWants {
  name: string
  type: string
  /** Names of the variables that hold the credential. */
  names: string[]
  kind: ProviderType
  env: Env
}

async function provider({ name, type, names, kind, env }: ProviderWants): Promise<ReadProvider> {
  if (kind.isGoogle === true) return await googleProvider({ name, type, env })
  const absent = names.filter((key) => (env[key] ?? '') === '')
  if (absent.length > 0) throw invalid(`provider ${name}: ${absent.join(', ')} is not set here`)
  const credentials = Object.fromEntries(names.map((key) => [key, env[key] ?? '']))
  return {
    plan: { name, type, credentials: names, config: {}, refresh: undefined },
    values: { credentials, material: {} },
  }
}

async function googleProvider({
  name,
  type,
  env,
}: Pick<ProviderWants, 'name' | 'type' | 'env'>): Promise<ReadProvider> {
  const file = env[GOOGLE_FILE]
  const project = env['VERTEX_AI_PROJECT_ID'] || env['ANTHROPIC_VERTEX_PROJECT_ID']
  if (!file || !project)
    throw invalid(`provider ${name}: ${GOOGLE_FILE} and VERTEX_AI_PROJECT_ID are not both set here`)
  const read = readGoogleCredential(await readText(file))
  if (read === undefined)
    throw invalid(
      `provider ${name}: ${GOOGLE_FILE} names no key of a service account and no file of gcloud's`,
    )
  const region = env['VERTEX_AI_REGION'] || env['CLOUD_ML_REGION'] || VERTEX_REGION
  return {
    plan: {
      name,
      type,
      credentials: Object.keys(read.credentials),
      config: { VERTEX_AI_PROJECT_ID: project, VERTEX_AI_REGION: region },
      refresh: read.refresh,
    },
    values: { credentials: read.credentials, material: read.material },
  }
}

function readEnvironment(texts: readonly string[]): Record<string, string> {
  return Object.fromEntries(
    texts.map((text) => {
      const at = text.indexOf('=')
      if (at <= 0) throw invalid('--env is NAME=VALUE')
      return [text.slice(0, at), text.slice(at + 1)]
    }),
  )
}

function readUpload(text: string): { source: string; target: string } {
  const at = text.lastIndexOf(':')
  if (at <= 0) throw invalid(`--upload ${text}: SOURCE:FOLDER, such as ./project:/sandbox/workspace`)
  // A folder is often written with the slash at its end.
  return { source: text.slice(0, at), target: text.slice(at + 1).replace(/(?<=.)\/$/, '') }
}

async function readJson(file: string): Promise<Record<string, unknown>> {
  const text = await readText(file)
  try {
    return JsonObject.parse(JSON.parse(text))
  } catch {
    throw invalid(`${file} is no JSON object`)
  }
}

async function readText(file: string): Promise<string> {
  return await readFile(file, 'utf8').catch((error: unknown) => {
    throw invalid(`${file} cannot be read: ${toMessage(error)}`)
  })
}

function invalid(message: string): RunnerError {
  return new RunnerError('config_invalid', `openshell: ${message}.`)
}
