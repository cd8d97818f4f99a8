import { type Command, InvalidArgumentError } from 'commander'
import type { Env } from '../config.ts'
import { RunnerError } from '../errors.ts'
import type { GitHubApp } from '../github-app/app-token.ts'
import { toWholeNumber } from '../whole-number.ts'
import { type KeySource, readAppKey } from './app-key.ts'

const KEY_VARIABLE = 'GITHUB_APP_PRIVATE_KEY'

export interface AppFlags {
  appId?: string
  installationId?: number
  keyFile?: string
  keyEnv?: string
  keyCommand?: string
}

/** Adds the options that name a GitHub App and the place of its key. */
export function addAppOptions(command: Command): Command {
  return command
    .option('--app-id <id>', "the GitHub App's client id or number, else GITHUB_APP_ID")
    .option('--installation-id <n>', "else GITHUB_APP_INSTALLATION_ID, else the owner's", toInstallation)
    .option('--key-file <file>', "the App's private key; - is stdin")
    .option('--key-env <name>', `the variable that holds it; ${KEY_VARIABLE} by default`)
    .option('--key-command <command>', 'a shell command that prints it, for a password manager')
}

/**
 * Reads the App from flags and environment. Returns undefined when neither names an App.
 *
 * @throws {RunnerError} `config_invalid`, without any part of the key.
 */
export async function readApp(flags: AppFlags, env: Env): Promise<GitHubApp | undefined> {
  const appId = flags.appId ?? env['GITHUB_APP_ID']
  const source = keySource(flags)
  if (!appId) {
    if (source === undefined && !env[KEY_VARIABLE]) return undefined
    throw new RunnerError(
      'config_invalid',
      'There is an App’s key and no App: name it by --app-id or GITHUB_APP_ID.',
    )
  }
  const installationId = flags.installationId ?? installationIn(env['GITHUB_APP_INSTALLATION_ID'])
  return { appId, installationId, privateKey: await readAppKey(source ?? { variable: KEY_VARIABLE }, env) }
}

function keySource({ keyFile, keyEnv, keyCommand }: AppFlags): KeySource | undefined {
  if (keyFile === undefined && keyEnv === undefined && keyCommand === undefined) return undefined
  return {
    ...(keyFile === undefined ? {} : { file: keyFile }),
    ...(keyEnv === undefined ? {} : { variable: keyEnv }),
    ...(keyCommand === undefined ? {} : { command: keyCommand }),
  }
}

function toInstallation(value: string): number {
  const id = toWholeNumber(value, { min: 1 })
  if (id === undefined) throw new InvalidArgumentError('It is a number.')
  return id
}

function installationIn(value: string | undefined): number | undefined {
  if (!value) return undefined
  const id = toWholeNumber(value, { min: 1 })
  if (id === undefined) throw new RunnerError('config_invalid', 'GITHUB_APP_INSTALLATION_ID is no number.')
  return id
}
