import { Command } from 'commander'
import { loadConfig } from '../config.ts'
import { RunnerError, toMessage } from '../errors.ts'
import { detectRoute } from '../model-route/route.ts'
import { loadPolicy } from '../policy/read/load.ts'
import { type AppFlags, addAppOptions, readApp } from './app-options.ts'
import type { CliContext } from './context.ts'
import { credentialFileOption, withCredentialFile } from './credential-file.ts'
import { withoutSecrets } from './secrets.ts'
import { stopSignal } from './stop-signal.ts'

const DETECT_MS = 10_000

interface Flags extends AppFlags {
  control: string
  secretFile: string
  audit?: string
  policy?: string
  credentialFile?: string
}

/** `agui-runner gateway`: the broker alone, until a signal. */
export function gatewayCommand(context: CliContext): Command {
  const command = new Command('gateway')
    .description('Hold the credentials for agents that have none (docs/credentials.md)')
    .requiredOption('--control <socket>', 'where a launcher opens and ends sessions; a folder of its own')
    .requiredOption('--secret-file <file>', "the launcher's secret is written here, mode 0600")
    .option('--audit <file>', 'one line of JSON a request, mode 0600')
    .option('--policy <file>', 'what decides about other hosts; without it none is reached')
    .addOption(credentialFileOption())
  return addAppOptions(command).action(
    async ({ control, secretFile, audit, policy: policyFile, credentialFile, ...flags }: Flags) => {
      const env = withCredentialFile(context.env, credentialFile)
      const { wrappersDirectory } = loadConfig(env, context)
      const route = await detectRoute({ env, wrappersDirectory, signal: AbortSignal.timeout(DETECT_MS) })
      if (route.kind === 'none' || route.kind === 'gateway')
        throw new RunnerError(
          'config_invalid',
          `gateway: the environment names no credential for a model (${route.kind}).`,
        )
      const policy = policyFile === undefined ? undefined : await loadPolicy(policyFile)
      const app = await readApp(flags, env)
      const stopping = stopSignal(() => undefined)
      const { openGateway } = await import('../broker/gateway.ts')
      const say = (line: string): void => {
        process.stderr.write(`agui-runner gateway: ${line}\n`)
      }
      const onAuditFailure = (error: Error): void => {
        say(`the audit cannot be written: ${error.message}`)
        stopping.stop()
      }
      const gateway = await openGateway({
        ...{ route, env, policy, app, control, secretFile, auditFile: audit, onAuditFailure },
        onTokenProblem: say,
      })
      process.stdout.write(`${JSON.stringify({ msg: 'ready', control, secretFile, route: route.kind })}\n`)
      await stopping.stopped
      await gateway.close().catch(async (error: unknown) => {
        say(await withoutSecrets(toMessage(error), env))
      })
      process.exit()
    },
  )
}
