import { type Command, InvalidArgumentError, Option } from 'commander'
import type { Env } from '../config.ts'
import { toMessage } from '../errors.ts'
import { Access } from '../openshell/access.ts'
import { Gateway } from '../openshell/gateway-client.ts'
import { printableInLine } from '../printable.ts'
import { proxySettings } from '../proxy-settings.ts'
import { readKnownSecrets } from '../redaction/known-secrets.ts'
import { createRedactor } from '../redaction/redactor.ts'
import { toWholeNumber } from '../whole-number.ts'
import { stopSignal } from './stop-signal.ts'

export interface GatewayFlags {
  gateway: string
  workspace: string
  tlsCa?: string
  tlsCert?: string
  tlsKey?: string
  tokenFile?: string
  edgeTokenFile?: string
}

export function addGatewayOptions(command: Command, env: Env): Command {
  const gateway = new Option('--gateway <url>', 'https://HOST:PORT; OPENSHELL_GATEWAY_ENDPOINT')
  return command
    .exitOverride()
    .addOption(
      env['OPENSHELL_GATEWAY_ENDPOINT']
        ? gateway.default(env['OPENSHELL_GATEWAY_ENDPOINT'])
        : gateway.makeOptionMandatory(),
    )
    .option('--workspace <name>', 'OPENSHELL_WORKSPACE', env['OPENSHELL_WORKSPACE'] || 'default')
    .option('--tls-ca <file>', 'authority to trust beside the built-in ones')
    .option('--tls-cert <file>', 'certificate of your own, where the gateway asks for one (mTLS)')
    .option('--tls-key <file>', 'its key')
    .option('--token-file <file>', 'OIDC token; read again for each call, so replace it before it ends')
    .option('--edge-token-file <file>', 'token of Cloudflare Access, which stands before the gateway')
}

export interface GatewayWork {
  gateway: Gateway
  signal: AbortSignal
  /** Prints one line for the person, with secrets redacted. */
  say(line: string): void
}

/**
 * Does `work` at the gateway that the flags name, until a signal. Secrets are redacted from the message of its error.
 *
 * @throws {RunnerError} @throws {GatewayFailure}
 */
export async function atGateway<T>(
  flags: GatewayFlags,
  { env, secrets = [] }: { env: Env; secrets?: readonly string[] },
  work: (work: GatewayWork) => Promise<T>,
): Promise<T> {
  const access = new Access(flags)
  const clean = (text: string): string =>
    createRedactor({ values: [...readKnownSecrets(env), ...secrets, ...access.secrets] }).redactText(text)
  const say = (line: string): void => {
    process.stderr.write(`agui-runner: ${printableInLine(clean(line))}\n`)
  }
  const stopping = stopSignal(() => say('stopping'))
  let gateway: Gateway | undefined
  try {
    gateway = await Gateway.open({ access, proxies: proxySettings(env) }, stopping.signal)
    return await work({ gateway, say, signal: stopping.signal })
  } catch (error) {
    if (error instanceof Error) error.message = clean(toMessage(error))
    throw error
  } finally {
    gateway?.close()
  }
}

export function collect(value: string, previous: string[]): string[] {
  return [...previous, value]
}

export function parsePort(text: string): number {
  const port = toWholeNumber(text, { max: 65_535 })
  if (port === undefined) throw new InvalidArgumentError('Give a port.')
  return port
}
