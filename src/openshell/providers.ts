import { RunnerError } from '../errors.ts'
import type { Gateway } from './gateway-client.ts'
import { GatewayFailure, isFailure } from './gateway-failure.ts'
import { type InferencePlan, type ProviderPlan, SANDBOX_LABEL, type SandboxPlan } from './sandbox-plan.ts'
import { inWorkspace, named, type SandboxName } from './service.ts'

/** The values that belong to the names in a plan, by the provider's name. No value is in the plan. */
export type ProviderSecrets = Readonly<
  Record<string, { credentials: Record<string, string>; material: Record<string, string> }>
>

export interface ProviderWants {
  workspace: string
  secrets: ProviderSecrets
  signal: AbortSignal
  say(line: string): void
}

/** The setting for provider profiles, without which no provider can be part of a route (since 0.0.72). */
const PROVIDERS_V2 = 'providers_v2_enabled'
/** Labels of the route's provider. It belongs to the workspace, so it is not removed with a sandbox. */
const ROUTE_LABELS = { 'agui-runner.route': 'inference' }
/** The most providers that a gateway lists at once. */
const PAGE = 1000

/**
 * Creates or updates the providers and the route, which have to exist before the sandbox.
 *
 * @throws {GatewayFailure}
 * @throws {RunnerError} `sandbox_failed` for a route on 0.1, and for a provider that is not ours.
 */
export async function provideProviders(
  gateway: Gateway,
  { name, providers, inference }: SandboxPlan,
  wants: ProviderWants,
): Promise<void> {
  if (providers.length === 0 && inference === undefined) return
  if (gateway.protocol === '0.0') await enableProfiles(gateway, wants.signal)
  else if (inference !== undefined)
    throw new RunnerError(
      'sandbox_failed',
      'This gateway has no routes to a model (OpenShell 0.1): leave --inference out, and attach the credential with --provider.',
    )
  for (const provider of providers) await provideProvider(gateway, provider, { [SANDBOX_LABEL]: name }, wants)
  if (inference !== undefined) await provideRoute(gateway, inference, wants)
}

/** Enables provider profiles. The setting applies to the whole gateway, so it is written only when it is off. */
async function enableProfiles(gateway: Gateway, signal: AbortSignal): Promise<void> {
  const { settings } = await gateway.call('GetGatewayConfig', {}, signal)
  if (settings.some(({ key, value }) => key === PROVIDERS_V2 && value.bool_value)) return
  const request = { global: true, setting_key: PROVIDERS_V2, setting_value: { bool_value: true } }
  await gateway.call('UpdateConfig', request, signal)
}

async function provideProvider(
  gateway: Gateway,
  plan: ProviderPlan,
  labels: Record<string, string>,
  { workspace, secrets, signal, say }: ProviderWants,
): Promise<void> {
  const { name, type, config, refresh } = plan
  const { credentials = {}, material = {} } = secrets[name] ?? {}
  const provider = { metadata: { name, labels }, type, credentials, config }
  try {
    await gateway.call('CreateProvider', { provider, ...inWorkspace(workspace) }, signal)
  } catch (error) {
    if (!isFailure(error, 'taken')) throw error
    const { metadata } = await gateway.call('GetProvider', named({ name, workspace }), signal)
    if (Object.entries(labels).some(([key, value]) => metadata.labels[key] !== value))
      throw new RunnerError(
        'sandbox_failed',
        `The provider ${name} is there, and no launch of agui-runner made it.`,
      )
    await gateway.call('UpdateProvider', { provider, ...inWorkspace(workspace) }, signal)
  }
  if (refresh === undefined) return
  const { credential, strategy, secretMaterial } = refresh
  const at = { provider: name, credential_key: credential, ...inWorkspace(workspace) }
  const configured = { ...at, strategy, material, secret_material_keys: secretMaterial }
  await gateway.call('ConfigureProviderRefresh', configured, signal)
  try {
    await gateway.call('RotateProviderCredential', at, signal)
  } catch (error) {
    // The gateway fetches the credential later by itself.
    if (!(error instanceof GatewayFailure)) throw error
    say(`the provider ${name} has no credential yet: ${error.message}`)
  }
}

/** Sets the workspace's only route, which applies to all of its sandboxes. */
async function provideRoute(
  gateway: Gateway,
  { provider, model, isVerified }: InferencePlan,
  wants: ProviderWants,
): Promise<void> {
  const { workspace, signal, say } = wants
  await provideProvider(gateway, provider, ROUTE_LABELS, wants)
  const before = await currentRoute(gateway, workspace, signal)
  const now = `${model} by ${provider.name}`
  if (before !== undefined && before !== now)
    say(`the model of this workspace was ${before} and is ${now}, for all of its sandboxes`)
  const request = { provider_name: provider.name, model_id: model, no_verify: !isVerified, workspace }
  await gateway.call('SetInferenceRoute', request, signal)
}

async function currentRoute(
  gateway: Gateway,
  workspace: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  try {
    const { model_id, provider_name } = await gateway.call('GetInferenceRoute', { workspace }, signal)
    return `${model_id} by ${provider_name}`
  } catch (error) {
    if (isFailure(error, 'absent')) return undefined
    throw error
  }
}

/** Removes the sandbox's providers once it is removed itself. @returns their names. @throws {GatewayFailure} */
export async function removeProviders(
  gateway: Gateway,
  { name: sandbox, workspace }: SandboxName,
  signal: AbortSignal,
): Promise<string[]> {
  const request = { limit: PAGE, page_size: PAGE, ...inWorkspace(workspace) }
  const { providers } = await gateway.call('ListProviders', request, signal)
  const names = providers.flatMap(({ metadata: { name, labels } }) =>
    labels[SANDBOX_LABEL] === sandbox ? [name] : [],
  )
  for (const name of names) {
    try {
      await gateway.call('DeleteProvider', named({ name, workspace }), signal)
    } catch (error) {
      // The answer to a first attempt may have been lost.
      if (!isFailure(error, 'absent')) throw error
    }
  }
  return names
}
