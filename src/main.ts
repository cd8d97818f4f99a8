#!/usr/bin/env node
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { Command, CommanderError } from 'commander'
import { EXIT } from './cli/exit.ts'
import { mockGatewayCommand } from './cli/mock-gateway.ts'

import { policyCommand } from './cli/policy.ts'
import { serveCommand } from './cli/serve.ts'
import { startCommand } from './cli/start.ts'
import { RunnerError, toMessage } from './errors.ts'

const appDirectory = join(import.meta.dirname, '..')
const context = {
  env: process.env,
  appDirectory,
  workingDirectory: process.cwd(),
  isTerminal: process.stdout.isTTY,
}
const { version }: { version: string } = JSON.parse(readFileSync(join(appDirectory, 'package.json'), 'utf8'))

const program = new Command('agui-runner')
  .description('Turns Claude Code into an AG-UI 1.0 agent, inside an OpenShell sandbox or on a laptop')
  .version(version)
  .addCommand(serveCommand(context))
  .addCommand(startCommand(context))
  .addCommand(mockGatewayCommand())
  .addCommand(policyCommand())

try {
  await program.exitOverride().parseAsync()
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.config
  else {
    process.stderr.write(`agui-runner: ${toMessage(error)}\n`)
    process.exitCode =
      error instanceof RunnerError && error.code === 'config_invalid' ? EXIT.config : EXIT.internal
  }
}
