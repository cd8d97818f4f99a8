#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import * as module from 'node:module'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { EXIT, exitCodeOfError } from './cli/exit.ts'
import { withoutSecrets } from './cli/secrets.ts'
import { toMessage } from './errors.ts'
import { PACKAGE_DIRECTORY } from './package-directory.ts'
import { printable } from './printable.ts'

// Node 22 and later can cache compiled code. The cache lies beside the code, where only those who can change the code
// can write.
if ('enableCompileCache' in module && typeof module.enableCompileCache === 'function')
  module.enableCompileCache(join(PACKAGE_DIRECTORY, 'node_modules', '.cache', 'agui-runner'))

const { version }: { version: string } = JSON.parse(
  readFileSync(join(PACKAGE_DIRECTORY, 'package.json'), 'utf8'),
)

const context = {
  version,
  env: process.env,
  appDirectory: PACKAGE_DIRECTORY,
  workingDirectory: process.cwd(),
  isTerminal: process.stdout.isTTY,
}

/** The commands, each loaded when named, so that the server waits for neither the mock nor the policy engine. */
const COMMANDS: Record<string, () => Promise<Command>> = {
  serve: async () => (await import('./cli/serve.ts')).serveCommand(context),
  read: async () => (await import('./cli/read.ts')).readCommand(context),
  start: async () => (await import('./cli/start.ts')).startCommand(context),
  launch: async () => (await import('./cli/launch.ts')).launchCommand(context),
  sweep: async () => (await import('./cli/launch.ts')).sweepCommand(context),
  run: async () => (await import('./cli/run.ts')).runCommand(context),
  ci: async () => (await import('./cli/ci.ts')).ciCommand(context),
  doctor: async () => (await import('./cli/doctor.ts')).doctorCommand(context),
  gateway: async () => (await import('./cli/gateway.ts')).gatewayCommand(context),
  token: async () => (await import('./cli/token.ts')).tokenCommand(context),
  openshell: async () => (await import('./cli/openshell.ts')).openshellCommand(context),
  'mock-gateway': async () => (await import('./cli/mock-gateway.ts')).mockGatewayCommand(),
  devcontainer: async () => (await import('./cli/devcontainer.ts')).devcontainerCommand(context),
  policy: async () =>
    (await import('./cli/policy.ts')).policyCommand(context.env['POLICY_FILE'] || undefined),
}

const program = new Command('agui-runner')
  .description('Turns Claude Code into an AG-UI 1.0 agent, inside an OpenShell sandbox or on a laptop')
  .version(version)

const named = COMMANDS[process.argv[2] ?? '']
for (const load of named === undefined ? Object.values(COMMANDS) : [named])
  program.addCommand((await load()).exitOverride())

try {
  await program.exitOverride().parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.config
  else {
    // A launch's error quotes what was printed inside.
    const text = printable(await withoutSecrets(toMessage(error), context.env))
    process.stderr.write(`agui-runner: ${text}\n`)
    process.exitCode = exitCodeOfError(error)
  }
}
